"""The nodes that compute: parse, validate, count."""

from examples.ingest_service.model import CarrierHour, Flight, Record, Reject
from examples.ingest_service.parsing import LineError, parse_line, to_flight
from graphflow import Message, Node, PortSpec


class Parse(Node):
    """Lines to JSON objects; what is no JSON object leaves through `rejects`."""

    inputs = PortSpec("lines", bytes)
    outputs = (PortSpec("records", Record), PortSpec("rejects", Reject))

    def on_message(self, port: str, msg: Message) -> None:
        """Emit the record of a line, or its reject."""
        line = msg.payload
        try:
            fields = parse_line(line)
        except LineError as error:
            self.emit("rejects", Reject.of(line, error.reason, error.detail))
        else:
            self.emit("records", Record(line, fields))


class Validate(Node):
    """JSON objects to flights; what is no possible flight leaves through `rejects`."""

    inputs = PortSpec("records", Record)
    outputs = (PortSpec("flights", Flight), PortSpec("rejects", Reject))

    def on_message(self, port: str, msg: Message) -> None:
        """Emit the flight of a record, or its reject."""
        record = msg.payload
        try:
            flight = to_flight(record.fields)
        except LineError as error:
            self.emit("rejects", Reject.of(record.line, error.reason, error.detail))
        else:
            self.emit("flights", flight)


class CountByCarrierHour(Node):
    """Adds flights up in memory and hands the sums on at each tick: few rows to write."""

    inputs = PortSpec("flights", Flight)
    outputs = PortSpec("sums", CarrierHour)
    tick_interval_ms = 200

    def __init__(self, name: str) -> None:
        super().__init__(name)
        # (carrier, hour) -> scheduled, cancelled, departed, minutes of departure delay
        self._sums: dict[tuple[str, int], list[int]] = {}

    def on_message(self, port: str, msg: Message) -> None:
        """Add one flight."""
        flight: Flight = msg.payload
        sums = self._sums.setdefault((flight.carrier, flight.hour), [0, 0, 0, 0])
        sums[0] += 1
        sums[1] += flight.cancelled
        if flight.dep_delay is not None:
            sums[2] += 1
            sums[3] += flight.dep_delay

    def on_tick(self) -> None:
        """Hand on what has come in since the last tick."""
        self._hand_on()

    def on_drain(self) -> None:
        """Hand on the rest: no more flights will come."""
        self._hand_on()

    def _hand_on(self) -> None:
        while self._sums:
            key = next(iter(self._sums))
            self.emit("sums", CarrierHour(*key, *self._sums[key]))
            del self._sums[key]  # after the emit: had it raised, the sums would wait here
