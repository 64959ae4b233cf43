"""Nodes around one function, whose step is compiled: what the factories make.

A run handles their messages in the compiled loop of `graphflow.core.cells.operators.loop`, by their `operator`. Each
class also says in `on_message` what that operator does. A run calls it where there is no fast way: for traced messages
and control, on edges that wrap what they hold, for a node that retries or runs several messages at once.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator
from typing import Any

from graphflow.base.events import say
from graphflow.core.cells.errors import Unsent
from graphflow.core.cells.operators.kinds import Batch, Filter, FlatMap, Map, Operator, Sink, ends_here
from graphflow.core.messages.message import Message, MessageType
from graphflow.core.messages.unawaited import check_result
from graphflow.graph.function_node import MadeNode
from graphflow.graph.node import PortDeclaration

log: logging.Logger = logging.getLogger("graphflow.node")


class StepNode(MadeNode):
    """A node with one input and at most one output for results, and a function between them."""

    operator: Operator
    ends_with_outputs: bool | None = True

    def __init__(self, name: str, operator: Operator, ins: PortDeclaration, outs: PortDeclaration | tuple[()]) -> None:
        super().__init__(name, ins, outs)
        if outs == ():
            self.ends_with_outputs = False  # it has none for results: a closed port of dead letters is no reason to end
        self.operator = operator
        self._out = self.outputs[0].name if self.outputs else ""

    def _send(self, value: object) -> None:
        self.emit(self._out, value)


class MapNode(StepNode):
    """Sends what the function makes of each payload."""

    def __init__(self, name: str, fn: Callable[[Any], object], ins: PortDeclaration, outs: PortDeclaration) -> None:
        super().__init__(name, Map(fn), ins, outs)

    def on_message(self, port: str, msg: Message) -> None:
        """Sends the result, other messages unchanged."""
        self._send(self.operator.called(self, msg.payload) if msg.is_data() else msg)


class FunctionNode(StepNode):
    """Sends what the function makes of each payload, unless that is None."""

    def __init__(
        self, name: str, fn: Callable[[Any], object], ins: PortDeclaration, outs: PortDeclaration | tuple[()]
    ) -> None:
        super().__init__(name, Map(fn, skips_none=True) if outs != () else Sink(fn), ins, outs)

    def on_message(self, port: str, msg: Message) -> None:
        """Sends the result, other messages unchanged."""
        value = self.operator.called(self, msg.payload) if msg.is_data() else msg
        if self._out:
            if value is not None:
                self._send(value)
        elif not msg.is_data():
            ends_here(self, port, msg)


class FilterNode(StepNode):
    """Sends on the messages whose payloads the predicate finds true."""

    def __init__(self, name: str, predicate: Callable[[Any], object], ins: PortDeclaration) -> None:
        super().__init__(name, Filter(predicate), ins, "out")

    def on_message(self, port: str, msg: Message) -> None:
        """Sends it on or not, other messages always."""
        if not msg.is_data() or self.operator.called(self, msg.payload):
            self._send(msg)


class FlatMapNode(StepNode):
    """Sends each value of the iterable that the function makes of a payload."""

    def __init__(
        self, name: str, fn: Callable[[Any], Iterable[Any]], ins: PortDeclaration, outs: PortDeclaration
    ) -> None:
        super().__init__(name, FlatMap(fn), ins, outs)

    def on_message(self, port: str, msg: Message) -> Iterator[Any] | None:
        """Sends the values, other messages unchanged."""
        if msg.is_data():
            return (value for value in self.operator.called(self, msg.payload))
        self._send(msg)
        return None


class SinkNode(StepNode):
    """Calls the function with each payload."""

    def __init__(self, name: str, fn: Callable[[Any], object], ins: PortDeclaration) -> None:
        super().__init__(name, Sink(fn), ins, ())

    def on_message(self, port: str, msg: Message) -> None:
        """Calls it; other messages end here."""
        if msg.is_data():
            self.operator.called(self, msg.payload)
        else:
            ends_here(self, port, msg)


class BatchNode(StepNode):
    """Collects payloads and sends lists of them."""

    def __init__(self, name: str, size: int, timeout_s: float | None, ins: PortDeclaration) -> None:
        self._batch = Batch(size, 0 if timeout_s is None else max(1, int(timeout_s * 1e9)))
        self._left = 0  # of a run that has ended
        super().__init__(name, self._batch, ins, "out")

    @property
    def buffered(self) -> int:
        """Payloads that it has collected and not sent."""
        return self._batch.count() + self._left

    @buffered.setter
    def buffered(self, count: int) -> None:
        self._left = count

    def on_start(self) -> None:
        """Begins with nothing."""
        self._batch.reset()
        self.buffered = 0

    def on_message(self, port: str, msg: Message) -> None:
        """Adds the payload, and sends the batch if it is full; other messages unchanged, at once."""
        if not msg.is_data():
            self._send(msg)
        elif (full := self._batch.add(self, msg.payload)) is not None:
            self._send_whole(full, msg)

    def on_tick(self) -> None:
        """Sends the batch if its time has come."""
        due = self._batch.due(self)
        if due is not None:
            self._send_whole(due, Message(MessageType.DATA, None))

    def _send_whole(self, batch: list[Any], parent: Message) -> None:
        """Sends a batch, or fails with the whole of it: its payloads are in no other message."""
        try:
            self._send(batch)
        except Exception as error:
            raise Unsent(error, parent.with_payload(batch)) from None

    def on_drain(self) -> None:
        """Sends what there is."""
        rest = self._batch.take()
        if rest:
            try:
                self._send(rest)
            except BaseException:
                self._batch.put_back(rest)
                raise

    def on_stop(self) -> None:
        """Says what a stop without drain has left here."""
        left = self.buffered = len(self._batch.take())  # pyright: ignore[reportIncompatibleVariableOverride]
        if left:
            say(
                log,
                "batch_left",
                "node %s: stopped without a drain; %d payloads that it had collected are not sent",
                self.name,
                left,
                node=self.name,
                count=left,
            )


class AsyncNode(MadeNode):
    """Awaits a coroutine function for each payload, and does with the result what `finish` says."""

    ends_with_outputs: bool | None = True

    def __init__(
        self,
        name: str,
        fn: Callable[[Any], Awaitable[Any]],
        finish: Callable[[AsyncNode, Message, Any], None],
        ins: PortDeclaration,
        outs: PortDeclaration | tuple[()],
    ) -> None:
        super().__init__(name, ins, outs)
        if outs == ():
            self.ends_with_outputs = False  # as a StepNode
        self._fn = fn
        self._finish = finish
        self._out = self.results

    async def on_message(self, port: str, msg: Message) -> None:
        """Handles the result, passes other messages on."""
        if msg.is_data():
            self._finish(self, msg, await self._fn(msg.payload))
        elif self._out is not None:
            self.emit(self._out, msg)
        else:
            ends_here(self, port, msg)

    def send(self, value: object) -> None:
        """Sends a result; a node without an output for results has none."""
        if self._out is not None:
            self.emit(self._out, value)

    def refuse_unrun(self, result: object) -> None:
        """TypeError for a result that is not sent, and is itself something to be awaited."""
        if result is not None:
            check_result(result, self.name, self._fn)


class SourceNode(MadeNode):
    """Sends each item of an iterable."""

    def __init__(self, name: str, items: Iterable[Any] | Callable[[], Iterable[Any]], outs: PortDeclaration) -> None:
        super().__init__(name, (), outs)
        self._items = items

    def produce(self) -> Iterator[Any]:
        """The items; of a function, those of a new call each run."""
        items = self._items() if callable(self._items) else self._items
        if not isinstance(items, Generator):
            check_result(items, self.name, self._items)
        return iter(items)

    @property
    def results(self) -> str | None:
        """The only output; where it was given several, items are `(port, payload)` pairs."""
        return self.declared[0].name if len(self.declared) == 1 else None
