"""The graph: the nodes that compute, and how everything is connected.

    lines -> parse -> validate --flights--> count --sums--> writer
               |         |  +------flights---------------->   |
               |         +---------rejects---------------->   |
               +-------------------rejects---------------->   |
    commands ---------------------------------------------->  |

Every edge blocks when it is full (the default), so a slow writer slows the senders down and no line is lost.
"""

from dataclasses import dataclass
from typing import Any, Self

from examples.ingest_service.flights import Flight, LineError, parse_line, to_flight
from graphflow import Message, Node, PortSpec, PriorityBand, Subgraph

LINES_BYTES_MAX = 8 * 1024 * 1024  # waiting at the entrance
SUMS_MAX = 256  # carriers and hours that are counted before they are handed on
PREVIEW_BYTES_MAX = 1000  # of a rejected line
DETAIL_CHARS_MAX = 500


@dataclass(frozen=True, slots=True)
class Record:
    """A line and the JSON object that it holds."""

    line: bytes
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reject:
    """A line that is no flight: its beginning, a reason to count by and a sentence. All can be stored as text."""

    line: str
    reason: str
    detail: str

    @classmethod
    def of(cls, line: bytes, error: LineError) -> Self:
        """Bytes that are not UTF-8 are shown as `\\xff`; so is half a surrogate pair, which JSON can name."""
        preview = line[:PREVIEW_BYTES_MAX].decode("utf-8", "backslashreplace")
        detail = error.detail[:DETAIL_CHARS_MAX].encode("utf-8", "backslashreplace").decode("utf-8")
        return cls(preview, error.reason, detail)


@dataclass(slots=True)
class CarrierHour:
    """Flights of a carrier scheduled in an hour of the day, to be added to earlier ones."""

    carrier: str
    hour: int
    scheduled: int = 0
    cancelled: int = 0
    delay_minutes: int = 0


class Parse(Node):
    """Lines to JSON objects; what is no JSON object leaves through `rejects`."""

    inputs = PortSpec("lines", bytes)
    outputs = (PortSpec("records", Record), PortSpec("rejects", Reject))

    def on_message(self, port: str, msg: Message) -> None:
        """Emit the record of a line, or its reject."""
        try:
            record = Record(msg.payload, parse_line(msg.payload))
        except LineError as error:
            self.emit("rejects", Reject.of(msg.payload, error))
        else:
            self.emit("records", record)


class Validate(Node):
    """JSON objects to flights; what is no possible flight leaves through `rejects`."""

    inputs = PortSpec("records", Record)
    outputs = (PortSpec("flights", Flight), PortSpec("rejects", Reject))

    def on_message(self, port: str, msg: Message) -> None:
        """Emit the flight of a record, or its reject."""
        try:
            flight = to_flight(msg.payload.fields)
        except LineError as error:
            self.emit("rejects", Reject.of(msg.payload.line, error))
        else:
            self.emit("flights", flight)


class CountByCarrierHour(Node):
    """Adds flights up in memory and hands the sums on at each tick: few rows to write."""

    inputs = PortSpec("flights", Flight)
    outputs = PortSpec("sums", CarrierHour)
    tick_interval_ms = 200

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._sums: dict[tuple[str, int], CarrierHour] = {}

    def on_message(self, port: str, msg: Message) -> None:
        """Add one flight."""
        flight: Flight = msg.payload
        key = (flight.carrier, flight.hour)
        sums = self._sums.setdefault(key, CarrierHour(*key))
        sums.scheduled += 1
        sums.cancelled += flight.cancelled
        sums.delay_minutes += flight.dep_delay or 0
        if len(self._sums) >= SUMS_MAX:
            self._hand_on()

    def on_tick(self) -> None:
        """Hand on what has come in since the last tick."""
        self._hand_on()

    def on_drain(self) -> None:
        """Hand on the rest: no more flights will come."""
        self._hand_on()

    def _hand_on(self) -> None:
        for sums in self._sums.values():
            self.emit("sums", sums)
        self._sums.clear()


def ingest_graph(writer: Node, lines_capacity: int) -> Subgraph:
    """The whole service behind its two inputs, `lines` and `commands`. Capacities are in messages."""
    graph = Subgraph.from_nodes("ingest", [Parse("parse"), Validate("validate"), CountByCarrierHour("count"), writer])
    # A few senders of very long lines must not fill the memory: the entrance is bounded in bytes, too.
    graph.expose_input("lines", "parse:lines", capacity=lines_capacity, max_bytes=LINES_BYTES_MAX, sizeof=len)
    graph.expose_input("commands", "writer:commands")

    graph.connect("parse:records", "validate:records", capacity=256)
    graph.connect("validate:flights", "writer:flights", capacity=1024)
    graph.connect("validate:flights", "count:flights", capacity=1024)
    graph.connect("count:sums", "writer:sums", capacity=512)
    # Rejects are few, and an operator wants to see them soon.
    for node in ("parse", "validate"):
        graph.connect(f"{node}:rejects", "writer:rejects", capacity=256, priority=PriorityBand.HIGH)
    return graph
