"""The ends of a graph for other threads: what goes in, what comes out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from graphflow.core.edge import Edge
from graphflow.core.message import Message, MessageType
from graphflow.core.policy import PutResult
from graphflow.errors import EdgeClosed


class Input:
    """An exposed input: any number of threads put into the graph.

    Open from the moment the graph is registered (what is put before the run is queued) until it or the graph is closed.
    """

    def __init__(self, name: str, edge: Edge) -> None:
        self.name = name
        self.edge = edge

    def put(self, item: Any, timeout: float | None = None) -> PutResult:
        """Put a message or a payload, waiting up to `timeout` seconds (None: for ever) while the edge is full.

        Raises TimeoutError, EdgeClosed, SchemaError, ValueError (larger than max_bytes), SchedulerStateError (it would
        wait on a thread of this scheduler).
        """
        return self.edge.put(item, timeout)

    def try_put(self, item: Any) -> PutResult:
        """Put without waiting; BLOCKED means refused. Raises as put does."""
        return self.edge.try_put(item)

    def put_many(self, items: Iterable[Any], timeout: float | None = None) -> int:
        """Put items in order, waiting up to `timeout` seconds in all; returns how many were accepted, a prefix."""
        return self.edge.put_many(items, timeout)

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

    def get_many(self, max: int, timeout: float | None = 0) -> list[Message]:  # noqa: A002  as Edge.get_many
        """Up to `max` messages: waits up to `timeout` seconds for the first; empty when the time is up."""
        return [_as_message(item) for item in self.edge.get_many(max, timeout)]

    def __iter__(self) -> Iterator[Message]:
        """Every message until the graph has ended."""
        while True:
            try:
                item = self.edge.get()
            except EdgeClosed:
                return
            yield _as_message(item)

    def __repr__(self) -> str:
        return f"<Output {self.name} {self.edge!r}>"


def _as_message(item: Any) -> Message:
    return item if isinstance(item, Message) else Message(MessageType.DATA, item)
