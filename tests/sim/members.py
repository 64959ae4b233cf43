"""The nodes of the family: they note what they see and what they send, and pass it on with their name added."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphflow import ErrorPolicy, Message, Node
from graphflow.core.operators import FlatMap, Map
from graphflow.nodes.steps import StepNode

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS = (
    "plain",
    "plain",
    "step",
    "step",
    "flat step",
    "generator",
    "ticker",
    "concurrent",
    "unordered",
    "retry",
    "dedicated",
)
# What these emit is sent when the hook has returned, or not at all.
STAGED = ("step", "flat step", "concurrent", "unordered", "retry")
Route = Any  # a tuple: origin, number, names of nodes


class Member(Node):
    """Notes what it sees, and passes it on with its name added."""

    inputs: Any = "in"
    outputs: Any = "out"

    def __init__(self, name: str, kind: str) -> None:
        Node.__init__(self, name)
        self.kind = kind
        self.seen: list[Route] = []  # as handlers were first called with them
        self.sent: list[Route] = []
        self.ticks = 0
        if kind in ("concurrent", "unordered"):
            self.max_concurrency = 2
            self.ordered = kind == "concurrent"
        if kind == "retry":
            self.error_policy = ErrorPolicy.retry(20, backoff_s=0.001)
        self.dedicated = kind == "dedicated"

    def _pass(self, payload: Route) -> Route:
        if not (self.kind == "retry" and payload in self.seen):  # there it comes once an attempt
            self.seen.append(payload)
        passed = (*payload, self.name)
        self.sent.append(passed)
        return passed


class Plain(Member):
    def on_message(self, port: str, msg: Message) -> None:
        if msg.is_control():
            self.emit("out", msg)
        else:
            self.emit("out", self._pass(msg.payload))


class Generator(Member):
    def on_message(self, port: str, msg: Message) -> Iterator[Any]:
        if msg.is_control():
            yield msg
        else:
            yield self._pass(msg.payload)


class Step(Member, StepNode):
    """Compiled: it takes its messages in batches."""

    def __init__(self, name: str, kind: str) -> None:
        Member.__init__(self, name, kind)
        self.operator = Map(self._pass) if kind == "step" else FlatMap(self._spread)

    def _spread(self, payload: Route) -> Iterator[Route]:
        yield self._pass(payload)

    def on_message(self, port: str, msg: Message) -> None:
        self.emit("out", self._pass(msg.payload) if msg.is_data() else msg)


class Ticker(Plain):
    tick_interval_ms = 2.0

    def on_tick(self) -> None:
        self.ticks += 1
        if self.ticks <= 20:
            self.sent.append(("tick", self.ticks, self.name))
            self.emit("out", self.sent[-1])

    def on_drain(self) -> None:
        self.sent.append(("drain", 0, self.name))
        self.emit("out", self.sent[-1])


class Origin(Member):
    """A source of numbers."""

    inputs: Any = ()

    def __init__(self, name: str, count: int) -> None:
        super().__init__(name, "origin")
        self.count = count

    def produce(self) -> Iterator[Any]:
        for number in range(self.count):
            self.sent.append((self.name, number))
            yield self.sent[-1]
