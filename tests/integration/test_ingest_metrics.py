"""What Prometheus gets from the ingestion service's /metrics, over HTTP on loopback."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from graphs import until
from prometheus_client.parser import text_string_to_metric_families as parse

from examples.ingest_service.client import send_lines
from examples.ingest_service.sample import read_flights, to_line
from examples.ingest_service.service import IngestService, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LINES = 400


@pytest.fixture
def service(tmp_path: Path) -> Iterator[IngestService]:
    running = IngestService(Settings(tmp_path / "flights.db", batch_rows=50, flush_interval_ms=20))
    running.start()
    yield running
    running.stop()


def get(service: IngestService, path: str) -> tuple[str, str]:
    """Content type and body."""
    with urllib.request.urlopen(f"http://127.0.0.1:{service.http.port}{path}", timeout=30) as answer:
        return answer.headers["Content-Type"], answer.read().decode()


def scrape(service: IngestService) -> dict[tuple[str, str], float]:
    """Values by name and by edge, node or band."""
    kind, text = get(service, "/metrics")
    assert kind.startswith("text/plain; version=")
    found: dict[tuple[str, str], float] = {}
    for family in parse(text):
        for sample in family.samples:
            assert sample.labels["graph"] == "ingest"
            where = sample.labels.get("edge") or sample.labels.get("node") or sample.labels.get("band") or ""
            found[sample.name, where] = found.get((sample.name, where), 0) + sample.value
    return found


def test_a_scrape_shows_what_the_service_has_taken_and_adds_up(service: IngestService) -> None:
    lines = [to_line(flight) for flight, _ in zip(read_flights(), range(LINES), strict=False)] + [b"no flight"]
    entrance = next(edge.id for edge in service.graph.edges if edge.id.startswith("input:lines->"))
    assert send_lines(("127.0.0.1", service.tcp.port), lines).accepted == len(lines)
    until(lambda: service.writer.flights_stored + service.writer.rejects_stored == len(lines))
    until(lambda: not any(edge.depth() for edge in service.graph.edges))  # what is stored last may be told to others
    now = scrape(service)
    assert now["graphflow_edge_offered_total", entrance] == len(lines)
    assert now["graphflow_edge_delivered_total", entrance] == len(lines)
    assert now["graphflow_edge_queue_depth", entrance] == 0
    assert now["graphflow_scheduler_up", ""] == 1
    assert now["graphflow_node_handler_seconds_count", "parse"] >= 1
    stats = json.loads(get(service, "/stats")[1])
    for edge_id, counts in stats["edges"].items():
        assert now["graphflow_edge_delivered_total", edge_id] == counts["delivered"]


def test_scrapes_while_lines_come_in_do_not_run_backwards(service: IngestService) -> None:
    lines = [to_line(flight) for flight, _ in zip(read_flights(), range(LINES), strict=False)]
    seen = []
    for start in range(0, LINES, 100):
        send_lines(("127.0.0.1", service.tcp.port), lines[start : start + 100])
        now = scrape(service)
        entrance = next(where for name, where in now if name.endswith("_queue_depth") and "lines" in where)
        seen.append(now["graphflow_edge_offered_total", entrance])
        taken = now["graphflow_edge_delivered_total", entrance] + now["graphflow_edge_queue_depth", entrance]
        assert taken == seen[-1]
    assert seen == [100, 200, 300, 400]


def test_two_services_in_one_process_have_their_own_numbers(service: IngestService, tmp_path: Path) -> None:
    other = IngestService(Settings(tmp_path / "other.db"))
    other.start()
    try:
        send_lines(("127.0.0.1", service.tcp.port), [to_line(next(read_flights()))])
        entrance = next(edge.id for edge in service.graph.edges if edge.id.startswith("input:lines->"))
        assert scrape(service)["graphflow_edge_offered_total", entrance] == 1
        assert scrape(other)["graphflow_edge_offered_total", entrance] == 0
    finally:
        other.stop()


def test_without_the_library_the_answer_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    running = IngestService(Settings(tmp_path / "flights.db"))
    running.start()
    try:
        with pytest.raises(urllib.error.HTTPError) as caught:
            get(running, "/metrics")
        answer: dict[str, Any] = json.loads(caught.value.read())
        caught.value.close()
    finally:
        running.stop()
    assert (caught.value.code, "pip install 'graphflow[metrics]'" in answer["error"]) == (501, True)
