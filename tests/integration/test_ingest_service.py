"""The ingestion service end to end: real sockets, a real database, loopback only."""

import contextlib
import json
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pydantic", reason="the ingestion service checks its records with pydantic")

from examples.ingest_service import connections, demo, writer
from examples.ingest_service.client import control, post_lines, request, send_lines
from examples.ingest_service.connections import Taken
from examples.ingest_service.flights import LINE_BYTES_MAX, LineError, parse_line, to_flight
from examples.ingest_service.graph import Parse, Reject
from examples.ingest_service.sample import BROKEN, load_sample, read_flights, to_line
from examples.ingest_service.service import IngestService, Settings
from examples.ingest_service.tcp_server import LineSplitter
from graphflow import Message

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
DEADLINE_S = 50.0
NEVER_MS = 600_000  # a tick that no test lives to see
FLIGHT = next(read_flights())
GOOD = to_line(FLIGHT)


def eventually(condition: Callable[[], bool]) -> None:
    """Wait until `condition` holds; fail after a deadline that only a stuck service reaches."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        time.sleep(0.01)


def query(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def count(path: Path, table: str) -> int:
    return int(query(path, f"SELECT count(*) FROM {table}")[0][0])


def reasons(path: Path) -> Counter[str]:
    return Counter(dict(query(path, "SELECT reason, count(*) FROM rejects GROUP BY reason")))


class Running:
    """A service in this process, and the addresses of its doors."""

    def __init__(self, settings: Settings) -> None:
        self.db = settings.db
        self.service = IngestService(settings)
        self.service.start()
        self.tcp = (HOST, self.service.tcp.port)
        self.http = (HOST, self.service.http.port)

    def stop(self) -> None:
        report = self.service.stop()
        assert report.complete, report
        for edge in self.service.graph.edges:
            stats = edge.stats()
            left = stats.offered - stats.delivered - stats.dropped - stats.replaced
            assert left - stats.coalesced - stats.expired == 0, edge.id

    def depth(self) -> int:
        """Lines that wait at the entrance of the graph."""
        return self.service.lines.edge.depth()


Start = Callable[..., Running]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Running] = []

    def start_with(**settings: Any) -> Running:
        running = Running(Settings(tmp_path / "flights.db", **settings))
        started.append(running)
        return running

    yield start_with
    for running in started:
        running.service.stop()


# -- lines and records ---------------------------------------------------------------------------


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


# -- sending -------------------------------------------------------------------------------------


def test_every_line_of_several_connections_is_stored_or_rejected(start: Start) -> None:
    sample = load_sample()
    running = start()
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(send_lines, running.tcp, sample.lines[n::4]) for n in range(3)]
        answers.append(pool.submit(post_lines, running.http, sample.lines[3::4]))
    assert sum(answer.result().accepted for answer in answers) == len(sample.lines)
    running.stop()

    assert count(running.db, "flights") == sample.flights
    assert reasons(running.db) == sample.rejects
    sums = query(running.db, "SELECT total(scheduled), total(cancelled) FROM carrier_hour")
    cancelled = query(running.db, "SELECT count(*) FROM flights WHERE dep_time IS NULL")
    assert sums == [(sample.flights, cancelled[0][0])]


def test_a_line_without_newline_at_the_end_counts(start: Start) -> None:
    running = start()
    with socket.create_connection(running.tcp) as client:
        client.sendall(GOOD + b"\n" + GOOD[:100])
        client.sendall(GOOD[100:])
        client.shutdown(socket.SHUT_WR)
        with client.makefile("rb") as reader:
            assert json.loads(reader.read()) == {"accepted": 2}
    running.stop()
    assert count(running.db, "flights") == 2


def test_a_second_run_adds_to_the_database(start: Start) -> None:
    for run in (1, 2):
        running = start()
        assert send_lines(running.tcp, [GOOD] * 10 + [b"?"]) == Taken(11)
        running.stop()
        assert count(running.db, "flights") == 10 * run
        assert count(running.db, "rejects") == run
        assert query(running.db, "SELECT scheduled FROM carrier_hour") == [(10 * run,)]


def test_a_client_too_many_waits_for_its_turn(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "CONNECTIONS_MAX", 1)
    running = start()
    with ThreadPoolExecutor(1) as pool:
        with socket.create_connection(running.tcp):
            eventually(lambda: running.service.tcp.connections == 1)
            answer = pool.submit(send_lines, running.tcp, [GOOD])
            assert not answer.done()
        assert answer.result(DEADLINE_S) == Taken(1)


def test_a_stop_does_not_wait_for_clients_in_line(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "CONNECTIONS_MAX", 1)
    running = start()
    with socket.create_connection(running.tcp), socket.create_connection(running.tcp):
        eventually(lambda: running.service.tcp.connections == 1)
        assert running.service.stop().complete


# -- a graph that stands still -------------------------------------------------------------------


def test_a_full_graph_holds_a_tcp_client_back_and_loses_nothing(start: Start) -> None:
    running = start(lines_capacity=64)
    control(running.http, "pause")
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(send_lines, running.tcp, [GOOD] * 10_000)
        eventually(lambda: running.depth() == 64)
        assert not answer.done()
        control(running.http, "resume")
        assert answer.result(DEADLINE_S) == Taken(10_000)
    running.stop()
    assert count(running.db, "flights") == 10_000


def test_a_full_graph_answers_503_with_the_number_of_lines_taken(start: Start) -> None:
    running = start(lines_capacity=8, http_wait_s=0.1)
    control(running.http, "pause", node="parse")
    status, reply, headers = request(running.http, "POST", "/ingest", b"\n".join([GOOD] * 20))
    assert status == 503
    assert float(headers["Retry-After"]) > 0
    assert reply["lines"] == 20
    assert reply["error"] == "busy"
    control(running.http, "resume", node="parse")
    rest = 20 - reply["accepted"]
    assert 0 < rest < 20
    assert post_lines(running.http, [GOOD] * rest) == Taken(rest)
    running.stop()
    assert count(running.db, "flights") == 20


# -- control -------------------------------------------------------------------------------------


def test_flush_stores_what_waits_for_a_batch(start: Start) -> None:
    running = start(batch_rows=500, flush_interval_ms=NEVER_MS)
    assert send_lines(running.tcp, [GOOD] * 10) == Taken(10)
    eventually(lambda: running.service.writer.pending >= 10)
    assert count(running.db, "flights") == 0
    control(running.http, "flush")
    eventually(lambda: count(running.db, "flights") == 10)


def test_stop_drains_and_closes_both_doors(start: Start) -> None:
    running = start(flush_interval_ms=NEVER_MS)
    assert send_lines(running.tcp, [GOOD] * 10) == Taken(10)
    assert control(running.http, "stop") == {"ok": True}
    report = running.service.scheduler.wait(DEADLINE_S)
    assert report.complete
    assert count(running.db, "flights") == 10
    for address in (running.tcp, running.http):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)


def test_an_idle_client_gets_its_answer_when_the_service_stops(start: Start) -> None:
    running = start()
    with socket.create_connection(running.tcp) as client:
        client.sendall(GOOD + b"\n" + GOOD[:50])  # half a line is never taken
        eventually(lambda: running.service.accepted() == 1)
        stopping = threading.Thread(target=running.service.stop)
        stopping.start()
        with client.makefile("rb") as reader:
            assert json.loads(reader.readline()) == {"accepted": 1, "error": "closing"}
    stopping.join()
    assert count(running.db, "flights") == 1
    assert count(running.db, "rejects") == 0


def test_stats_say_what_is_where(start: Start) -> None:
    running = start()
    send_lines(running.tcp, [GOOD] * 5 + [b""])
    node = running.service.writer
    eventually(lambda: node.flights_stored + node.rejects_stored == 6)
    status, stats, _ = request(running.http, "GET", "/stats")
    assert status == 200
    assert stats["writer"] == {
        "flights_stored": 5,
        "rejects_stored": 1,
        "pending": node.pending,
        "failed_writes": 0,
    }
    assert stats["edges"]["input:lines->parse:lines"]["offered"] == 6
    assert stats["edges"]["validate:flights->writer:flights"]["delivered"] == 5


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "word"),
    [
        ("GET", "/nothing", None, 404, "POST /ingest"),
        ("GET", "/ingest", None, 404, "POST /ingest"),
        ("POST", "/control", b"{", 400, "JSON"),
        ("POST", "/control", b"[]", 400, "command"),
        ("POST", "/control", b'{"command": "halt"}', 400, "flush"),
        ("POST", "/control", b'{"command": "pause", "node": "x"}', 400, "parse"),
    ],
)
def test_a_request_that_cannot_be_served_is_answered_with_the_reason(
    start: Start, method: str, path: str, body: bytes | None, status: int, word: str
) -> None:
    running = start()
    got, reply, _ = request(running.http, method, path, body)
    assert got == status
    assert word in reply["error"]


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"", b"411"),
        (b"Content-Length: 99999999999\r\n", b"413"),
        (b"Content-Length: x\r\n", b"400"),
    ],
)
def test_a_body_of_unknown_or_absurd_size_is_refused(start: Start, head: bytes, status: bytes) -> None:
    running = start()
    with socket.create_connection(running.http) as client:
        client.sendall(b"POST /ingest HTTP/1.1\r\n" + head + b"\r\n")
        with client.makefile("rb") as reader:
            assert reader.readline().split()[1] == status


# -- a database that fails -----------------------------------------------------------------------


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Nobody else writes to the database meanwhile."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def test_rows_that_cannot_be_stored_wait_and_hold_the_senders_back(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "LOCK_WAIT_S", 0.01)
    monkeypatch.setattr(writer, "RETRY_S", 0.01)
    running = start(batch_rows=10, lines_capacity=16)
    with ThreadPoolExecutor(1) as pool:
        with locked(running.db):
            answer = pool.submit(send_lines, running.tcp, [GOOD] * 5000)
            eventually(lambda: running.depth() == 16)
            eventually(lambda: running.service.writer.failed_writes >= 3)
            _, stats, _ = request(running.http, "GET", "/stats")
            assert stats["writer"]["failed_writes"] >= 3
            assert stats["writer"]["pending"] == 10
            assert not answer.done()
        assert answer.result(DEADLINE_S) == Taken(5000)
    running.stop()
    assert count(running.db, "flights") == 5000


def test_a_stop_waits_for_a_database_that_comes_back(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "LOCK_WAIT_S", 0.01)
    running = start(batch_rows=10)
    with ThreadPoolExecutor(1) as pool:
        with locked(running.db):
            assert send_lines(running.tcp, [GOOD] * 100) == Taken(100)
            stop = pool.submit(running.stop)
            eventually(lambda: running.service.scheduler.get_stats()["status"] == "draining")
        stop.result(DEADLINE_S)
    assert count(running.db, "flights") == 100


def test_rows_that_were_never_stored_are_named(start: Start) -> None:
    running = start(flush_interval_ms=NEVER_MS)
    send_lines(running.tcp, [GOOD] * 10)
    eventually(lambda: running.service.writer.pending >= 10)
    with contextlib.closing(sqlite3.connect(running.db)) as connection:
        connection.execute("DROP TABLE flights")
    report = running.service.stop()
    assert running.service.writer.pending >= 10
    assert report.error_counts["writer"] == 2  # in the drain, and once more at the stop


def test_a_database_of_another_program_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE flights (number)")
    with pytest.raises(sqlite3.OperationalError, match="no column"):
        IngestService(Settings(path))


def test_a_file_that_is_no_database_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("no database\n" * 1000)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        IngestService(Settings(path))


# -- as a program --------------------------------------------------------------------------------


class Program:
    """The service as a process of its own."""

    def __init__(self, path: Path) -> None:
        command = [sys.executable, "-m", "examples.ingest_service"]
        command += ["--db", str(path), "--tcp", "0", "--http", "0"]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.tcp = self._address("tcp")
        self.http = self._address("http")

    def _address(self, name: str) -> tuple[str, int]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith(f"{name} "), line + self.process.stdout.read()
        host, port = line.split()[1].split(":")
        return host, int(port)

    def wait(self) -> tuple[int, str]:
        output, _ = self.process.communicate(timeout=DEADLINE_S)
        return self.process.returncode, output


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    program = Program(tmp_path / "flights.db")
    yield program
    if program.process.poll() is None:
        program.process.kill()
    program.process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stores_what_was_accepted_and_ends_with_0(
    program: Program, tmp_path: Path, number: signal.Signals
) -> None:
    lines = [GOOD, b"broken"] * 50_000
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(send_lines, program.tcp, lines) for _ in range(4)]

        def all_are_served() -> bool:
            _, stats, _ = request(program.http, "GET", "/stats")
            return (stats["connections"]["tcp"], stats["writer"]["flights_stored"] > 0) == (4, True)

        eventually(all_are_served)
        program.process.send_signal(number)
        status, output = program.wait()
    accepted = sum(answer.result().accepted for answer in answers)
    assert status == 0, output
    assert all(answer.result().error == "closing" for answer in answers), "too few lines to tell"
    assert f"accepted {accepted:,} lines" in output
    path = tmp_path / "flights.db"
    assert count(path, "flights") + count(path, "rejects") == accepted


def test_a_paused_program_drains_on_a_signal(program: Program, tmp_path: Path) -> None:
    control(program.http, "pause")
    assert post_lines(program.http, [GOOD] * 100) == Taken(100)
    program.process.send_signal(signal.SIGTERM)
    status, output = program.wait()
    assert status == 0, output
    assert count(tmp_path / "flights.db", "flights") == 100


def test_the_command_stop_ends_the_program_with_0(program: Program) -> None:
    control(program.http, "stop")
    status, output = program.wait()
    assert status == 0, output


def test_a_port_in_use_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as taken:
        command = [sys.executable, "-m", "examples.ingest_service", "--db", str(tmp_path / "x.db")]
        command += ["--tcp", str(taken.getsockname()[1]), "--http", "0"]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith("cannot start: ")
    assert "Traceback" not in ended.stderr


def test_the_demo_accounts_for_every_line() -> None:
    command = [sys.executable, "-m", "examples.ingest_service.demo"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Every line is accounted for: 27,004 stored + 109 rejected = 27,113 sent" in ended.stdout


def test_the_demo_fails_and_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parse = Parse.on_message

    def lose_blank_lines(node: Parse, port: str, msg: Message) -> None:
        if msg.payload:
            parse(node, port, msg)

    monkeypatch.setattr(Parse, "on_message", lose_blank_lines)
    assert demo.main([]) == 1
    printed = capsys.readouterr().out
    assert "stored + rejected: 27,104, not 27,113" in printed
    assert "rejected as blank: 0, not 9" in printed
