"""Everything that looks into a graph, at once, on one running graph."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from graphs import DEADLINE_S, Collect, Map, Source, assert_stopped_clean, chain, scheduler_of, until
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry, generate_latest

from graphflow.observability import PrometheusCollector, RecentLogs, dump, instrument

if TYPE_CHECKING:
    from pathlib import Path


def test_metrics_logs_traces_pictures_and_dumps_of_one_graph(tmp_path: Path) -> None:
    last = Collect()
    graph = chain(Source("source", range(200)), Map("map"), last, capacity=8)
    scheduler = scheduler_of(graph, metrics=True, name="smoke")
    registry, recent, exporter = CollectorRegistry(), RecentLogs(), InMemorySpanExporter()
    registry.register(PrometheusCollector(scheduler))
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    logger = logging.getLogger("graphflow")
    level = logger.level
    logger.setLevel(logging.DEBUG)
    logger.addHandler(recent)
    try:
        with instrument(scheduler, tracer_provider=provider):
            scheduler.pause(last)
            scheduler.start()
            until(lambda: scheduler.snapshot().edges["map:out->collect:in"].blocked_now)
            text = generate_latest(registry).decode()
            picture = scheduler.to_mermaid()
            scheduler.resume(last)
            report = scheduler.wait(DEADLINE_S)
        dump(scheduler, tmp_path)
    finally:
        logger.removeHandler(recent)
        logger.setLevel(level)
    assert_stopped_clean(graph, report)
    assert last.seen == list(range(200))
    assert 'graph="smoke"' in text
    assert "BLOCKED" in picture
    assert len(exporter.get_finished_spans()) >= 400, "one for each message that was handled"
    assert {"run_started", "run_ended"} <= {record["event"] for record in recent.records()}
    assert any(path.stat().st_size > 0 for path in tmp_path.rglob("*.json"))
    assert scheduler.snapshot().nodes["collect"].handler_time is not None
