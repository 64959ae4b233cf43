"""The live page of the ingestion service and the events that feed it, over HTTP on loopback, without a browser."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from graphs import until

pytest.importorskip("pydantic", reason="the ingestion service checks its records with pydantic")

from examples.ingest_service import connections, live, streams
from examples.ingest_service.client import control, request, send_lines
from examples.ingest_service.http_server import HttpServer
from examples.ingest_service.sample import read_flights, to_line
from examples.ingest_service.service import IngestService, Settings
from examples.ingest_service.streams import Stream
from graphflow import Node, Scheduler, Subgraph

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
DEADLINE_S = 50.0
NEVER_S = 600.0
SOON_S = 10.0  # on the busiest machine
GOOD = to_line(next(read_flights()))
ENTRANCE = "input:lines->parse:lines"
FLIGHTS = "validate:flights->writer:flights"


class Viewer:
    """What a browser does with /events."""

    def __init__(self, port: int) -> None:
        self.connection = HTTPConnection(HOST, port, timeout=DEADLINE_S)
        self.connection.request("GET", "/events")
        self.response = self.connection.getresponse()

    def event(self) -> tuple[str, dict[str, Any]] | None:
        """The next one, or None at the end of the stream."""
        lines: list[bytes] = []
        while line := self.response.readline():
            if line == b"\n":
                name, data = lines
                assert name.startswith(b"event: ")
                assert data.startswith(b"data: ")
                return name[7:-1].decode(), json.loads(data[6:])
            lines.append(line)
        assert not lines, "the stream ended within an event"
        return None

    def reading(self) -> dict[str, Any]:
        event = self.event()
        assert event is not None
        return event[1]

    def until(self, condition: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        """The readings up to the first for which the condition holds."""
        deadline = time.monotonic() + DEADLINE_S
        readings = [self.reading()]
        while not condition(readings[-1]):
            assert time.monotonic() < deadline, readings[-1]
            readings.append(self.reading())
        return readings

    def hang_up(self) -> None:
        self.response.close()
        self.connection.close()


def edge(reading: dict[str, Any], edge_id: str) -> dict[str, Any]:
    return next(edge for edge in reading["edges"] if edge["id"] == edge_id)


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[IngestService]:
    monkeypatch.setattr(live, "EVENT_S", 0.02)
    running = IngestService(Settings(tmp_path / "flights.db", lines_capacity=64))
    running.start()
    yield running
    running.stop()


@pytest.fixture
def watch(service: IngestService) -> Iterator[Callable[[], Viewer]]:
    viewers: list[Viewer] = []

    def start() -> Viewer:
        viewers.append(Viewer(service.http.port))
        return viewers[-1]

    yield start
    for viewer in viewers:
        viewer.hang_up()


# -- the page ------------------------------------------------------------------------------------


def test_the_page_is_html_that_takes_nothing_from_outside(service: IngestService) -> None:
    with urllib.request.urlopen(f"http://{HOST}:{service.http.port}/", timeout=DEADLINE_S) as answer:
        headers, page = answer.headers, answer.read().decode()
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-cache"
    assert page.startswith("<!doctype html>")
    addresses = set(re.findall(r"https?://[^'\"]+", page))
    assert addresses == {"http://www.w3.org/2000/svg"}, "a name of a language, no address"


def test_the_policy_admits_the_script_and_the_style_of_the_page_and_no_other(service: IngestService) -> None:
    with urllib.request.urlopen(f"http://{HOST}:{service.http.port}/", timeout=DEADLINE_S) as answer:
        policy, page = answer.headers["Content-Security-Policy"], answer.read()
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["connect-src"] == "'self'"
    for tag in ("script", "style"):
        begin = page.index(f"<{tag}>".encode()) + len(tag) + 2
        content = page[begin : page.index(f"</{tag}>".encode())]
        assert rules[f"{tag}-src"] == f"'sha256-{base64.b64encode(hashlib.sha256(content).digest()).decode()}'"


def test_the_program_prints_the_address_of_the_page(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "examples.ingest_service", "--tcp", "0", "--http", "0"]
    command += ["--db", str(tmp_path / "flights.db")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as program:
        try:
            assert program.stdout is not None
            printed = [program.stdout.readline() for _ in range(4)]
            address = next(line.split()[-1] for line in printed if line.startswith("live page "))
            with urllib.request.urlopen(address, timeout=DEADLINE_S) as answer:
                assert answer.headers["Content-Type"].startswith("text/html")
        finally:
            program.send_signal(signal.SIGTERM)
            program.communicate(timeout=DEADLINE_S)
    assert program.returncode == 0


def test_names_reach_the_browser_as_data_whatever_they_hold() -> None:
    name = '<img src=x onerror="boom()">\n\nlast'
    node = Node.with_ports(name, ["in"], [])
    graph = Subgraph.from_nodes("graph", [node])
    graph.expose_input("in", (name, "in"))
    scheduler = Scheduler()
    scheduler.register(graph)
    kind, data, *end = live.live_events(scheduler).chunk(False).decode().split("\n")
    assert (kind, end) == ("event: reading", ["", ""])
    reading = json.loads(data.removeprefix("data: "))
    assert reading["nodes"][0]["path"] == name
    assert reading["edges"][0]["target"] == name
    assert b"boom" not in live.live_page().content
    assert not re.search(rb"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval", live.PAGE.read_bytes())


# -- the events ----------------------------------------------------------------------------------


def test_events_come_as_an_event_stream(watch: Callable[[], Viewer]) -> None:
    headers = watch().response.headers
    assert headers["Content-Type"] == "text/event-stream"
    assert headers["Cache-Control"] == "no-cache"
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_the_numbers_agree_with_what_was_sent_and_every_edge_adds_up(
    service: IngestService, watch: Callable[[], Viewer]
) -> None:
    viewer = watch()
    sent = 3000
    assert send_lines((HOST, service.tcp.port), [GOOD, GOOD, b"no flight"] * (sent // 3)).accepted == sent
    rejects = "parse:rejects->writer:rejects"

    def all_are_through(now: dict[str, Any]) -> bool:
        return (edge(now, FLIGHTS)["delivered"], edge(now, rejects)["delivered"]) == (2 * sent // 3, sent // 3)

    readings = viewer.until(all_are_through)
    for each in (each for now in readings for each in now["edges"]):
        assert each["offered"] == each["delivered"] + each["dropped"] + each["depth"]
        assert 0 <= each["depth"] <= each["capacity"]
    now = readings[-1]
    assert edge(now, ENTRANCE)["delivered"] == sent
    assert now["graph"] == "ingest"
    assert now["status"] == "running"
    nodes = {node["path"]: node for node in now["nodes"]}
    assert nodes["parse"]["messages"] == sent
    assert nodes["parse"]["errors"] == 0
    assert edge(now, FLIGHTS)["source"] == "validate"
    assert edge(now, FLIGHTS)["target"] == "writer"
    assert edge(now, ENTRANCE)["source"] is None


def test_rates_are_of_the_latest_time_and_come_to_rest(service: IngestService, watch: Callable[[], Viewer]) -> None:
    viewer = watch()
    first = viewer.reading()
    assert edge(first, ENTRANCE)["rate"] is None, "there is nothing to compare with"
    assert {node["busy"] for node in first["nodes"]} == {None}
    send_lines((HOST, service.tcp.port), [GOOD] * 2000)
    readings = [first, *viewer.until(lambda now: edge(now, ENTRANCE)["delivered"] == 2000)]
    readings += viewer.until(lambda now: edge(now, ENTRANCE)["rate"] == 0)
    assert any(edge(now, ENTRANCE)["rate"] > 0 for now in readings[1:])
    for number, now in enumerate(readings[1:], 1):
        before = readings[max(0, number - live.RATE_EVENTS)]
        seconds = now["uptime_s"] - before["uptime_s"]
        came = edge(now, ENTRANCE)["delivered"] - edge(before, ENTRANCE)["delivered"]
        assert edge(now, ENTRANCE)["rate"] == pytest.approx(came / seconds)
        assert all(0 <= node["busy"] <= 1 for node in now["nodes"])
    assert any(node["busy"] > 0 for now in readings[1:] for node in now["nodes"] if node["path"] == "parse")


def test_a_blocked_edge_is_told_and_so_is_the_end_of_it(service: IngestService, watch: Callable[[], Viewer]) -> None:
    viewer = watch()
    control((HOST, service.http.port), "pause")
    sender = threading.Thread(target=send_lines, args=((HOST, service.tcp.port), [GOOD] * 5000))
    sender.start()
    now = viewer.until(lambda now: edge(now, ENTRANCE)["blocked"] and edge(now, FLIGHTS)["blocked"])[-1]
    assert edge(now, FLIGHTS)["depth"] == edge(now, FLIGHTS)["capacity"] == 1024
    assert {node["path"]: node["state"] for node in now["nodes"]}["writer"] == "paused"
    control((HOST, service.http.port), "resume")
    sender.join()
    now = viewer.until(lambda now: edge(now, FLIGHTS)["delivered"] == 5000)[-1]
    assert not any(each["blocked"] for each in now["edges"])


# -- how a stream ends ---------------------------------------------------------------------------


@pytest.fixture
def endless_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for a client to take something or to hang up shows it: it lasts."""
    monkeypatch.setattr(connections, "GOODBYE_S", 2 * SOON_S)
    monkeypatch.setattr(streams, "SEND_S_MAX", 2 * SOON_S)


@pytest.mark.usefixtures("endless_waits")
def test_a_stop_ends_open_streams_with_a_last_event_and_does_not_wait_for_them(
    service: IngestService, watch: Callable[[], Viewer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "EVENT_S", NEVER_S)
    viewers = [watch() for _ in range(streams.STREAMS_MAX)]
    for viewer in viewers:
        assert viewer.event() is not None
    began = time.monotonic()
    assert service.stop().complete
    assert time.monotonic() - began < SOON_S, "nobody has hung up yet"
    for viewer in viewers:
        event = viewer.event()
        assert event is not None
        assert (event[0], event[1]["status"]) == ("last", "draining")
        assert viewer.event() is None


def test_a_viewer_too_many_is_told_so_and_has_a_place_when_another_leaves(
    service: IngestService, watch: Callable[[], Viewer]
) -> None:
    viewers = [watch() for _ in range(streams.STREAMS_MAX)]
    assert all(viewer.event() for viewer in viewers)
    status, answer, headers = request((HOST, service.http.port), "GET", "/events")
    assert status == 503
    assert answer["error"].startswith("8 viewers are connected")
    assert float(headers["Retry-After"]) > 0
    assert request((HOST, service.http.port), "GET", "/stats")[0] == 200, "others are served"
    viewers[0].hang_up()
    until(lambda: len(service.http.streams) < streams.STREAMS_MAX)
    assert watch().event() is not None


def test_a_viewer_that_hangs_up_is_noticed_at_once(
    service: IngestService, watch: Callable[[], Viewer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "EVENT_S", NEVER_S)  # no second event, which could not be sent
    viewer = watch()
    assert viewer.event() is not None
    assert (len(service.http.streams), service.http.connections) == (1, 1)
    viewer.hang_up()
    until(lambda: len(service.http.streams) == service.http.connections == 0)


class Flood:
    """A server whose stream is more than any buffer holds, and a client that reads nothing of it."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.server = HttpServer((HOST, 0), {("GET", "/"): lambda _: Stream(self._chunk, 0.01, "text/plain")})
        self.server.start()
        self.client = socket.create_connection((HOST, self.server.port))
        self.client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert self.asked.wait(DEADLINE_S)

    def _chunk(self, last: bool) -> bytes:
        self.asked.set()
        return bytes(32 * 1024 * 1024)


@pytest.fixture
def flood(endless_waits: None) -> Iterator[Flood]:
    flood = Flood()
    yield flood
    flood.server.close()
    flood.client.close()


def test_a_stop_does_not_wait_for_a_viewer_that_reads_nothing(flood: Flood) -> None:
    began = time.monotonic()
    flood.server.close()
    assert time.monotonic() - began < SOON_S
    assert flood.server.connections == 0


def test_a_viewer_that_reads_nothing_loses_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "SEND_S_MAX", 0.05)
    flood = Flood()
    until(lambda: not flood.server.streams)
    until(lambda: not flood.server.connections)
    flood.client.close()
    flood.server.close()


def test_a_closed_server_admits_no_stream() -> None:
    book = streams.Streams()
    book.close()
    with socket.socket() as connection:
        assert book.admit(connection) == "the service is closing"
    assert len(book) == 0


def test_a_page_of_another_site_can_give_no_commands(service: IngestService) -> None:
    mine = f"http://{HOST}:{service.http.port}"
    outcomes = {}
    for origin in (mine, "http://elsewhere.example", "null"):
        connection = HTTPConnection(HOST, service.http.port, timeout=DEADLINE_S)
        connection.request("POST", "/control", json.dumps({"command": "flush"}), {"Origin": origin})
        outcomes[origin] = connection.getresponse().status
        connection.close()
    assert outcomes == {mine: 200, "http://elsewhere.example": 403, "null": 403}
