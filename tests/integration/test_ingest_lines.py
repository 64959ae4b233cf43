"""Lines and records of the ingestion service: where a line ends, and why one is rejected."""

import contextlib
from pathlib import Path

import pytest

pytest.importorskip("pydantic", reason="the ingestion service checks its records with pydantic")

from ingesting import FLIGHT, GOOD, reasons

from examples.ingest_service import writer
from examples.ingest_service.flights import LINE_BYTES_MAX, LineError, parse_line, to_flight
from examples.ingest_service.graph import Reject
from examples.ingest_service.sample import BROKEN, read_flights, to_line
from examples.ingest_service.tcp_server import LineSplitter


@pytest.mark.parametrize("size", [1, 2, 7, 64])
def test_lines_are_the_same_however_the_stream_is_cut(size: int) -> None:
    stream = b'{"a": 1}\r\n\n{"b": 2}\nlast'
    splitter = LineSplitter()
    lines = []
    for start in range(0, len(stream), size):
        lines += splitter.feed(stream[start : start + size])
    assert lines + splitter.finish() == [b'{"a": 1}\r', b"", b'{"b": 2}', b"last"]


def test_an_endless_line_costs_no_memory_and_is_seen_to_be_too_long() -> None:
    splitter = LineSplitter()
    for _ in range(100):
        assert splitter.feed(b"x" * 100_000) == []
    (line, after) = splitter.feed(b"\nshort\n")
    assert len(line) == LINE_BYTES_MAX + 1
    assert after == b"short"
    with pytest.raises(LineError, match="too_long"):
        parse_line(line)


def test_a_line_of_the_greatest_length_is_not_too_long() -> None:
    line = GOOD.ljust(LINE_BYTES_MAX)
    assert to_flight(parse_line(line)).carrier == FLIGHT["carrier"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [(break_line(FLIGHT), reason) for reason, break_line in BROKEN.items()]
    + [
        (b"  \t\r", "blank"),
        (b"[" * 50_000, "bad_json"),
        (b'{"year": NaN}', "bad_json"),
        (b'{"year": ' + b"9" * 5000 + b"}", "bad_json"),
        (b"\xef\xbb\xbf" + GOOD, "bad_json"),
        (b"null", "not_an_object"),
        (to_line(FLIGHT | {"flight": True}), "schema:flight"),
        (to_line(FLIGHT | {"sched_dep_time": 575}), "schema:sched_dep_time"),
        (to_line(FLIGHT | {"minute": 16}), "schema:hour"),
        (to_line(FLIGHT | {"time_hour": "2013-13-01T10:00:00Z"}), "schema:time_hour"),
        (to_line(FLIGHT | {"origin": "JFK\n"}), "schema:origin"),
        (GOOD.replace(b'"UA"', b'"\\ud800"'), "schema:carrier"),
    ],
)
def test_a_broken_line_has_its_reason_and_can_be_stored(line: bytes, reason: str, tmp_path: Path) -> None:
    with pytest.raises(LineError) as raised:
        to_flight(parse_line(line))
    assert raised.value.reason == reason

    path = tmp_path / "rejects.db"
    with contextlib.closing(writer.connect(path)) as connection:
        writer.store(connection, writer.Batch(rejects=[Reject.of(line, raised.value)]))
    assert reasons(path) == {reason: 1}


def test_every_real_flight_is_a_flight_the_cancelled_ones_too() -> None:
    flights = [to_flight(parse_line(to_line(fields))) for fields in read_flights()]
    assert len(flights) == 27_004
    assert sum(flight.cancelled for flight in flights) == 521


def test_half_a_surrogate_pair_in_a_reject_can_be_stored() -> None:
    assert Reject.of(b"{}", LineError("schema:unknown_field", "\ud800")).detail == "\\ud800"
