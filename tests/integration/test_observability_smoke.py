"""One graph seen by everything at once: snapshot, Prometheus, OpenTelemetry, logs, dump and picture tell the same."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
from graphs import DEADLINE_S, Collect, Map, assert_stopped_clean, chain, scheduler_of, until
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from prometheus_client import CollectorRegistry

from graphflow import Drop, Scheduler
from graphflow.observability import PrometheusCollector, RecentLogs, dump, instrument

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SENT, ROOM, BAD = 200, 8, 13
EDGE = "check:out->collect:in"
RUN = ["run_started", "run_draining", "run_stopping", "run_ended"]


@pytest.fixture
def recent() -> Iterator[RecentLogs]:
    """The log of the run, at DEBUG; only kept."""
    logger = logging.getLogger("graphflow")
    handler, level, propagate = RecentLogs(10_000), logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    yield handler
    logger.propagate = propagate
    logger.setLevel(level)
    logger.removeHandler(handler)


def check(number: int) -> int:
    if number == BAD:
        raise ValueError("not this one")
    return number


def seen_by_snapshot(scheduler: Scheduler) -> dict[str, float]:
    snapshot = scheduler.snapshot()
    return {
        "offered": snapshot.edges[EDGE].offered,
        "dropped": snapshot.edges[EDGE].dropped,
        "delivered": snapshot.edges[EDGE].delivered,
        "depth": snapshot.edges[EDGE].depth,
        "messages": snapshot.nodes["check"].messages,
        "errors": snapshot.nodes["check"].errors,
    }


def seen_by_prometheus(registry: CollectorRegistry) -> dict[str, float]:
    found: dict[str, float] = {}
    names = {
        "graphflow_edge_offered_total": "offered",
        "graphflow_edge_dropped_total": "dropped",
        "graphflow_edge_delivered_total": "delivered",
        "graphflow_edge_queue_depth": "depth",
        "graphflow_node_messages_total": "messages",
        "graphflow_node_errors_total": "errors",
    }
    for family in registry.collect():
        for sample in family.samples:
            if sample.name in names and (sample.labels.get("edge") == EDGE or sample.labels.get("node") == "check"):
                name = names[sample.name]
                found[name] = found.get(name, 0) + sample.value  # what is dropped is split by reason
    return found


def seen_by_meter(reader: InMemoryMetricReader) -> dict[str, float]:
    found: dict[str, float] = {}
    wanted = [f"graphflow.edge.{name}" for name in ("offered", "dropped", "delivered", "depth")]
    wanted += ["graphflow.node.messages", "graphflow.node.errors"]
    data: Any = reader.get_metrics_data()
    for metric in data.resource_metrics[0].scope_metrics[0].metrics:
        for point in metric.data.data_points if metric.name in wanted else []:
            if point.attributes.get("graphflow.edge") == EDGE or point.attributes.get("graphflow.node") == "check":
                name = metric.name.rpartition(".")[2]
                found[name] = found.get(name, 0) + point.value
    return found


def seen_by_dump(scheduler: Scheduler, folder: Path) -> dict[str, float]:
    dump(scheduler, folder)
    assert not (folder / "errors.txt").exists()
    snapshot = json.loads((folder / "snapshot.json").read_text())
    edge, node = snapshot["edges"][EDGE], snapshot["nodes"]["check"]
    counts = {name: edge[name] for name in ("offered", "dropped", "delivered", "depth")}
    return {**counts, "messages": node["messages"], "errors": node["errors"]}


def test_all_that_looks_at_one_graph_sees_the_same(recent: RecentLogs, tmp_path: Path) -> None:
    """A node that fails once, before an edge that drops what its paused reader has no room for: known to the item."""
    last = Collect()
    graph = chain(Map("check", check), last, capacity=ROOM, policy=Drop())
    graph.expose_input("in", "check:in", capacity=SENT)
    scheduler = scheduler_of(graph, metrics=True, workers=2)
    scheduler.pause(last)
    registry, reader, exporter = CollectorRegistry(), InMemoryMetricReader(), InMemorySpanExporter()
    registry.register(PrometheusCollector(scheduler))
    meter, tracer = MeterProvider([reader]), TracerProvider()
    tracer.add_span_processor(SimpleSpanProcessor(exporter))

    def views(folder: str) -> list[dict[str, float]]:
        return [
            seen_by_snapshot(scheduler),
            seen_by_prometheus(registry),
            seen_by_meter(reader),
            seen_by_dump(scheduler, tmp_path / folder),
        ]

    with instrument(scheduler, meter_provider=meter, tracer_provider=tracer), scheduler:
        with tracer.get_tracer("test").start_as_current_span("request") as request:
            scheduler.input("in").put_many(range(SENT), timeout=DEADLINE_S)
        # A message counts as done after all that its handler emitted, so from here on nothing changes.
        until(lambda: scheduler.snapshot().nodes["check"].messages == SENT)
        offered = SENT - 1
        counts = {"offered": offered, "dropped": offered - ROOM, "messages": SENT, "errors": 1}
        assert views("paused") == [{**counts, "delivered": 0, "depth": ROOM}] * 4
        assert f"{ROOM}/{ROOM}" in scheduler.to_mermaid()
        report = scheduler.shutdown(timeout=DEADLINE_S)
        assert views("stopped") == [{**counts, "delivered": ROOM, "depth": 0}] * 4
    meter.shutdown()
    assert_stopped_clean(graph, report)
    assert last.seen == list(range(ROOM))
    assert report.errors.keys() == {"check"}

    spans: list[Any] = [span for span in exporter.get_finished_spans() if span.name != "request"]
    assert sorted(span.name for span in spans) == ["process check"] * SENT + ["process collect"] * ROOM
    assert {span.context.trace_id for span in spans} == {request.get_span_context().trace_id}
    (failed,) = (span for span in spans if span.status.status_code is StatusCode.ERROR)
    assert [event.name for event in failed.events] == ["exception"]

    told = [record["event"] for record in recent.records()]
    assert [event for event in told if event.startswith("run_")] == RUN
    (error,) = (record for record in recent.records() if record["event"] == "node_error")
    assert (error["node"], error["trace_id"]) == ("check", f"{failed.context.trace_id:032x}")
    kept = (tmp_path / "stopped" / "logs.jsonl").read_text().splitlines()
    assert [json.loads(line)["event"] for line in kept] == told, "the dump has the log too"
    handled = scheduler.snapshot().nodes["check"].handler_time
    assert handled is not None
    assert handled.count > 0, "a sampled time is at most 127 messages after the one before"
    phases = [event.detail for event in scheduler.flight_recording().events if event.event == "phase"]
    assert phases == ["starting", "running", "draining", "stopping", "stopped"]
