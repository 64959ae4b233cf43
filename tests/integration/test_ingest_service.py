"""The ingestion service end to end: real sockets, a real database, loopback only."""

import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("pydantic", reason="the ingestion service checks its records with pydantic")

from graphs import until
from ingesting import DEADLINE_S, GOOD, NEVER_MS, Start, count, query, reasons

from examples.ingest_service import connections
from examples.ingest_service.client import control, post_lines, request, send_lines
from examples.ingest_service.connections import Taken
from examples.ingest_service.sample import load_sample

pytest_plugins = ["ingesting"]  # the fixture `start`


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
            until(lambda: running.service.tcp.connections == 1)
            answer = pool.submit(send_lines, running.tcp, [GOOD])
            assert not answer.done()
        assert answer.result(DEADLINE_S) == Taken(1)


def test_a_stop_does_not_wait_for_clients_in_line(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "CONNECTIONS_MAX", 1)
    running = start()
    with socket.create_connection(running.tcp), socket.create_connection(running.tcp):
        until(lambda: running.service.tcp.connections == 1)
        assert running.service.stop().complete


# -- a graph that stands still -------------------------------------------------------------------


def test_a_full_graph_holds_a_tcp_client_back_and_loses_nothing(start: Start) -> None:
    running = start(lines_capacity=64)
    control(running.http, "pause")
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(send_lines, running.tcp, [GOOD] * 10_000)
        until(lambda: running.depth() == 64)
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
    until(lambda: running.service.writer.pending >= 10)
    assert count(running.db, "flights") == 0
    control(running.http, "flush")
    until(lambda: count(running.db, "flights") == 10)


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
        until(lambda: running.service.accepted() == 1)
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
    until(lambda: node.flights_stored + node.rejects_stored == 6)
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
