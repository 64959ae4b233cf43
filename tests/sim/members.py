"""The nodes of the family: they note what they see and what they send, and pass it on with their name added."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from carried import MARK, left_by

from graphflow import BackpressureError, ErrorPolicy, Message, Node
from graphflow.core.cells.operators.kinds import FlatMap, Map
from graphflow.nodes.steps import StepNode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

KINDS = (
    "plain",
    "plain",
    "step",
    "step",
    "flat step",
    "generator",
    "ticker",
    "drainer",
    "concurrent",
    "unordered",
    "retry",
    "unordered retry",
    "placeless retry",
    "dedicated",
)
# Of these some have generators for handlers.
KEEPING = ("concurrent", "unordered", "retry", "unordered retry", "placeless retry")
RETRIES = ("retry", "unordered retry", "placeless retry")
# Messages pass each other in these.
UNORDERED = ("unordered", "unordered retry", "placeless retry")
# What these emit is sent when the hook has returned, or not at all.
STAGED = ("step", "flat step", "concurrent", "unordered", *RETRIES)
FIRST = 6  # messages for which several are sent
Route = Any  # a tuple: origin, number, names of nodes


class Member(Node):
    """Notes what it sees, and passes it on with its name added, unless it has been there (on a cycle)."""

    inputs: Any = "in"
    outputs: Any = "out"
    drains = False  # it has an on_drain
    width = 1  # messages that it sends for one, the first few times

    def __init__(self, name: str, kind: str, at_once: int = 2) -> None:
        Node.__init__(self, name)
        self.kind = kind
        self.seen: list[Route] = []  # as handlers were first called with them
        self.sent: list[Route] = []
        self.controls: list[Any] = []  # payloads of what was passed on
        self.refused = 0  # emits that found no room in the outbox
        self.ticks = 0
        self.rest_s = 0.0  # at each message, or value
        self.found: list[tuple[Route, Route]] = []  # the mark in the context of each handling (carried.py)
        self.rest_at_start_s = 0.0
        self.at_start: Callable[[], None] | None = None
        self.starts = 0
        self.seen_at_drain: list[int] = []  # len(seen) at each on_drain
        self.stops: list[str] = []  # of all members, as they stop
        if kind in ("concurrent", "unordered", "unordered retry"):
            self.max_concurrency = at_once
        self.ordered = kind not in UNORDERED
        if kind in RETRIES:
            places: Any = {"holds_place": False, "max_waiting": 2} if kind == "placeless retry" else {}
            self.error_policy = ErrorPolicy.retry(20, backoff_s=0.001, **places)
        self.dedicated = kind == "dedicated"

    def _see(self, payload: Route) -> bool:
        """Note what has come; False if it has been here before, and is to go no further."""
        if not (self.kind in RETRIES and payload in self.seen):  # there it comes once an attempt
            self.seen.append(payload)
        self._mark(payload)
        return self.name not in payload[2:]

    def _mark(self, route: Route) -> None:
        """Note whose context this is, and leave a mark in it."""
        self.found.append((route, MARK.get()))
        mark = left_by(self, route)
        if mark:
            MARK.set(mark)

    def _pass(self, payload: Route) -> Route:
        self.sent.append((*payload, self.name))
        return self.sent[-1]

    def _new_control(self, msg: Message) -> bool:
        """Each goes on once, or it would go round for ever on a cycle."""
        new = msg.is_control() and msg.payload not in self.controls
        self.controls += [msg.payload] * new
        return new

    def on_start(self) -> None:
        self.starts += 1
        if self.at_start is not None:
            self.at_start()
        if self.rest_at_start_s:
            self.sleep(self.rest_at_start_s)

    def on_error(self, exc: BaseException, msg: Message | None) -> None:
        self.refused += isinstance(exc, BackpressureError)

    def on_stop(self) -> None:
        self.stops.append(self.name)


class Plain(Member):
    def on_message(self, port: str, msg: Message) -> None:
        if self.rest_s:
            self.sleep(self.rest_s)
        if self._new_control(msg):
            self.emit("out", msg)
        elif msg.is_data() and self._see(msg.payload):
            self.emit("out", self._pass(msg.payload))


class Generator(Member):
    def on_message(self, port: str, msg: Message) -> Iterator[Any]:
        if self._new_control(msg):
            yield msg
        elif msg.is_data() and self._see(msg.payload):
            yield self._pass(msg.payload)


class Several(Member):
    """Its handler is a generator, of which all values are kept until it has returned, or more than may be kept."""

    def __init__(self, name: str, kind: str, at_once: int, width: int) -> None:
        Member.__init__(self, name, kind, at_once)
        self.width = width

    def on_message(self, port: str, msg: Message) -> Iterator[Any]:
        if self._new_control(msg):
            yield msg
        elif msg.is_data() and self._see(msg.payload):
            origin, number, *passed = msg.payload
            for part in range(self.width if number < FIRST else 1):  # numbers rise, and each is another
                yield self._pass((origin, self.width * number + part, *passed))


class Step(Member, StepNode):
    """Compiled: it takes its messages in batches."""

    def __init__(self, name: str, kind: str) -> None:
        Member.__init__(self, name, kind)
        self.operator = Map(self._map) if kind == "step" else FlatMap(self._spread)

    def _map(self, payload: Route) -> Route:
        self._see(payload)
        return self._pass(payload)

    def _spread(self, payload: Route) -> Iterator[Route]:
        if self._see(payload):
            yield self._pass(payload)

    def on_message(self, port: str, msg: Message) -> None:
        if self._new_control(msg):
            self.emit("out", msg)
        elif msg.is_data() and (self._see(msg.payload) or self.kind == "step"):
            self.emit("out", self._pass(msg.payload))


class Drainer(Plain):
    drains = True

    def on_drain(self) -> None:
        self.seen_at_drain.append(len(self.seen))
        self._mark((("drain", 0),))
        self.sent.append(("drain", 0, self.name))
        self.emit("out", self.sent[-1])


class Ticker(Drainer):
    tick_interval_ms = 2.0

    def on_tick(self) -> None:
        self.ticks += 1
        if self.ticks <= 20:
            self._mark((("tick", self.ticks),))
            self.sent.append(("tick", self.ticks, self.name))
            self.emit("out", self.sent[-1])


class Origin(Member):
    """A source of numbers."""

    inputs: Any = ()

    def __init__(self, name: str, count: int) -> None:
        super().__init__(name, "origin")
        self.count = count

    def produce(self) -> Iterator[Any]:
        for number in range(self.count):
            if self.rest_s and not self.sleep(self.rest_s):
                return
            MARK.set((self.name, number))
            self.sent.append((self.name, number))
            yield self.sent[-1]


def draw_member(rng: Random, number: int, widths: Random) -> Member:
    """A node of a kind that the seed draws."""
    kind = rng.choice(KINDS)
    name = f"{kind}{number}"
    if kind in ("step", "flat step"):
        return Step(name, kind)
    at_once = rng.choice([2, 2, 3, 4])
    if kind in KEEPING and widths.random() < 0.4:
        return Several(name, kind, at_once, widths.choice([1, 2, 5, 12, 40]))
    maker = {"generator": Generator, "ticker": Ticker, "drainer": Drainer}.get(kind, Plain)
    return maker(name, kind, at_once)
