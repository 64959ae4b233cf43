"""What OpenTelemetry collects is what the snapshot says, of one moment, until it is closed."""

from __future__ import annotations

import gc
import re
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import pytest
from graphs import Collect, Map, Source, chain, scheduler_of
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from graphflow import Scheduler, SchedulerStateError, Subgraph
from graphflow.observability import instrument

ROOT = Path(__file__).parents[2]
Points = dict[tuple[str, frozenset[tuple[str, Any]]], Any]


class Meters:
    def __init__(self) -> None:
        self.reader = InMemoryMetricReader()
        self.provider = MeterProvider(metric_readers=[self.reader])

    def metrics(self) -> list[Any]:
        data = self.reader.get_metrics_data()
        if data is None:
            return []
        return [
            metric for resource in data.resource_metrics for scope in resource.scope_metrics for metric in scope.metrics
        ]

    def points(self) -> Points:
        return {
            (metric.name, frozenset((point.attributes or {}).items())): point.value
            for metric in self.metrics()
            for point in metric.data.data_points
        }


@pytest.fixture
def meters() -> Meters:
    return Meters()


def ran(**config: Any) -> Scheduler:
    scheduler = scheduler_of(chain(Source("a", range(1000)), Map("b"), Collect("c"), capacity=8), **config)
    scheduler.run()
    return scheduler


def value(points: Points, name: str, **attributes: Any) -> Any:
    return points[f"graphflow.{name}", frozenset((f"graphflow.{key}", each) for key, each in attributes.items())]


def test_every_number_is_what_the_snapshot_says(meters: Meters) -> None:
    scheduler = ran(metrics=True)
    with instrument(scheduler, meters.provider):
        points = meters.points()
    snapshot = scheduler.snapshot()
    for edge_id, edge in snapshot.edges.items():
        at = {"graph": "chain", "edge": edge_id}
        for name in ("offered", "enqueued", "delivered", "expired", "blocked", "depth", "peak_depth", "capacity"):
            assert value(points, f"edge.{name}", **at) == getattr(edge, name)
        assert value(points, "edge.dropped", reason="full", **at) == 0
        assert edge.time_in_queue is not None
        assert value(points, "edge.queue_time", quantile=0.99, **at) == edge.time_in_queue.quantile(0.99)
        assert value(points, "edge.queue_time.timed", **at) == edge.time_in_queue.count
    for path, node in snapshot.nodes.items():
        at = {"graph": "chain", "node": path}
        assert value(points, "node.messages", **at) == node.messages
        assert value(points, "node.busy_time", **at) == pytest.approx(node.busy_s)
    for band, turns in snapshot.scheduler.turns.items():
        assert value(points, "scheduler.turns", graph="chain", band=band) == turns


def test_units_and_descriptions_are_there(meters: Meters) -> None:
    scheduler = ran(metrics=True)
    with instrument(scheduler, meters.provider):
        collected = meters.metrics()
    assert len(collected) >= 40
    for metric in collected:
        assert re.fullmatch(r"graphflow\.(edge|node|scheduler)\.[a-z_]+(\.timed)?", metric.name)
        assert metric.description
        assert metric.unit in {"s", "By", "1"} or re.fullmatch(r"\{[a-z]+\}", metric.unit)
    assert scheduler.name == "chain"


def test_one_collection_reads_one_snapshot_and_the_next_another(
    meters: Meters, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler = ran()
    taken = []
    original = Scheduler.snapshot

    def snapshot(self: Scheduler) -> Any:
        taken.append(1)
        return original(self)

    monkeypatch.setattr(Scheduler, "snapshot", snapshot)
    with instrument(scheduler, meters.provider):
        meters.points()
        assert len(taken) == 1
        meters.points()
        assert len(taken) == 2


def test_after_close_nothing_is_reported_and_it_can_begin_again(meters: Meters) -> None:
    scheduler = ran()
    handle = instrument(scheduler, meters.provider)
    assert meters.points()
    handle.close()
    handle.close()
    assert meters.points() == {}
    second = Meters()
    with instrument(scheduler, second.provider):
        assert second.points()


def test_twice_at_once_is_refused(meters: Meters) -> None:
    scheduler = ran()
    with (
        instrument(scheduler, meters.provider),
        pytest.raises(SchedulerStateError, match=r"chain is instrumented already: close\(\) that first"),
    ):
        instrument(scheduler, meters.provider)


def test_a_scheduler_that_is_dropped_is_not_kept_alive(meters: Meters) -> None:
    scheduler = ran()
    handle, gone = instrument(scheduler, meters.provider), weakref.ref(scheduler)
    assert meters.points()
    del scheduler
    handle._snapshot = None
    gc.collect()
    assert gone() is None
    assert meters.points() == {}
    handle.close()


def test_the_global_provider_is_the_default(monkeypatch: pytest.MonkeyPatch, meters: Meters) -> None:
    monkeypatch.setattr(
        metrics, "get_meter", lambda name, meter_provider=None: (meter_provider or meters.provider).get_meter(name)
    )
    scheduler = ran()
    with instrument(scheduler):
        assert value(meters.points(), "edge.delivered", graph="chain", edge="a:out->b:in") == 1000


@pytest.mark.parametrize("given", [None, 5, Subgraph("g")])
def test_what_is_no_scheduler_is_refused(given: Any) -> None:
    with pytest.raises(TypeError, match=r"instrument\(\) takes a Scheduler, not"):
        instrument(given)


def test_without_the_library_it_says_what_to_install() -> None:
    code = """
import sys
sys.modules["opentelemetry"] = None
import graphflow.observability as o
try:
    o.instrument
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.stdout == "instrument() needs the OpenTelemetry API: pip install 'graphflow[otel]'\n", done.stderr


def test_the_page_lists_every_instrument_with_its_unit(meters: Meters) -> None:
    scheduler = ran(metrics=True)
    with instrument(scheduler, meters.provider):
        collected = {(metric.name, metric.unit) for metric in meters.metrics()}
    rows = re.findall(
        r"^\| `(graphflow\.[\w.]+)` \| (\S+) \|", (ROOT / "docs/opentelemetry.md").read_text(), re.MULTILINE
    )
    assert collected == set(rows)
    assert scheduler.snapshot().status == "stopped"
