"""The ends of a graph for other threads and for event loops: what goes in, what comes out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from typing import Any, Self

from graphflow.base.arguments import check_iterable
from graphflow.base.errors import EdgeClosed
from graphflow.core.edges.edge import Edge
from graphflow.core.edges.policy import PutResult
from graphflow.core.messages.message import Message, MessageType
from graphflow.runtime import async_handles
from graphflow.runtime.tracing import Spans, Tracing


class _Stamped:
    """Items with the trace of whoever puts them; remembers the latest as it came."""

    def __init__(self, items: Iterable[Any], spans: Spans) -> None:
        self._items = iter(items)
        self._spans = spans
        self.latest: Any = None

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        self.latest = next(self._items)
        return self._spans.stamp(self.latest)


class Input:
    """An exposed input: any number of threads put into the graph.

    Open from the moment the graph is registered (what is put before the run is queued) until it or the graph is closed.
    """

    name: str
    """As it was exposed."""
    edge: Edge
    """The edge behind it, "input:NAME->node:port"."""

    def __init__(self, name: str, edge: Edge, tracing: Tracing | None = None) -> None:
        self.name = name
        self.edge = edge
        self._tracing = tracing or Tracing()

    def put(self, item: Any, timeout: float | None = None) -> PutResult:
        """Put a message or a payload, waiting up to `timeout` seconds (None: for ever) while the edge is full.

        Raises TimeoutError, EdgeClosed, SchemaError, ValueError (larger than max_bytes), SchedulerStateError (it would
        wait on a thread of this scheduler); TypeError, ValueError or OverflowError for a timeout that is none.
        """
        spans = self._tracing.spans
        return self.edge.put(item if spans is None else spans.stamp(item), timeout)

    def try_put(self, item: Any) -> PutResult:
        """Put without waiting; BLOCKED: refused, the item stays yours. Raises EdgeClosed, SchemaError, ValueError."""
        spans = self._tracing.spans
        return self.edge.try_put(item if spans is None else spans.stamp(item))

    def put_many(self, items: Iterable[Any], timeout: float | None = None) -> int:
        """Put items in order, waiting up to `timeout` seconds in all; returns how many were accepted, a prefix.

        Of what has a length: raises, before anything is put, what put() raises for a wrong item; EdgeClosed if closed
        before the first.

        Of an iterator, or anything without a length: one item is read at a time, when the one before is in, and where
        one is not accepted it raises, as put() does (TimeoutError, EdgeClosed, SchemaError, ...): `error.item` is that
        item, `error.accepted` how many went in, and the iterator can be gone on with.
        """
        spans = self._tracing.spans
        if spans is None:
            return self.edge.put_many(items, timeout)
        check_iterable("items", items)
        if isinstance(items, Sized):
            return self.edge.put_many([spans.stamp(item) for item in items], timeout)
        stamped = _Stamped(items, spans)
        try:
            return self.edge.put_many(stamped, timeout)
        except BaseException as error:
            if "item" in vars(error):
                vars(error)["item"] = stamped.latest  # as it was given
            raise

    async def aput(self, item: Any, timeout: float | None = None) -> PutResult:
        """Put from a coroutine of any event loop, which runs on while this one waits; else as put().

        When it is cancelled the item is in or out for good, and the CancelledError says which: `error.accepted` (and a
        note) is True or False. Under asyncio.timeout() it is the `__cause__` of the TimeoutError (in early patches of
        Python 3.11 the `__context__`). A task that is cancelled before it has begun put nothing, and its error has no
        `accepted`.
        """
        spans = self._tracing.spans
        return await async_handles.put(self.edge, item if spans is None else spans.stamp(item), timeout)

    def close(self) -> None:
        """Nothing more comes in here; waiting puts raise EdgeClosed. The graph ends when all its inputs are closed."""
        self.edge.close()

    def __repr__(self) -> str:
        return f"<Input {self.name} {self.edge!r}>"


class Output:
    """An exposed output: other threads take what leaves the graph, always as a Message.

    A slow reader holds the graph back by the policy of the edge. What is here stays readable after the run; then
    iteration ends and get raises EdgeClosed.
    """

    name: str
    """As it was exposed."""
    edge: Edge
    """The edge behind it, "node:port->output:NAME"."""

    def __init__(self, name: str, edge: Edge) -> None:
        self.name = name
        self.edge = edge

    def get(self, timeout: float | None = None) -> Message:
        """The next message, waiting up to `timeout` seconds (None: for ever).

        Raises TimeoutError, EdgeClosed (the run has ended and nothing is left), SchedulerStateError (it would wait on a
        thread of this scheduler).
        """
        return _as_message(self.edge.get(timeout))

    def try_get(self) -> Message | None:
        """The next message, or None if there is none now."""
        item = self.edge.try_get()
        return None if item is None else _as_message(item)

    async def aget(self, timeout: float | None = None) -> Message:
        """The next message, for a coroutine of any event loop, which runs on while this one waits; else as get().

        One that is cancelled has taken nothing.
        """
        return _as_message(await async_handles.get(self.edge, timeout))

    def get_many(self, max: int, timeout: float | None = 0) -> list[Message]:  # noqa: A002  as Edge.get_many
        """Up to `max` messages: waits up to `timeout` seconds (None: for ever) for the first; [] when the time is up.

        Raises EdgeClosed when the run has ended and nothing is left.
        """
        return [_as_message(item) for item in self.edge.get_many(max, timeout)]

    def __iter__(self) -> Iterator[Message]:
        """Every message until the graph has ended."""
        while True:
            try:
                item = self.edge.get()
            except EdgeClosed:
                return
            yield _as_message(item)

    def __aiter__(self) -> Self:
        """Every message until the graph has ended, for `async for`."""
        return self

    async def __anext__(self) -> Message:
        try:
            return await self.aget()
        except EdgeClosed:
            raise StopAsyncIteration from None

    def __repr__(self) -> str:
        return f"<Output {self.name} {self.edge!r}>"


def _as_message(item: Any) -> Message:
    return item if isinstance(item, Message) else Message(MessageType.DATA, item)
