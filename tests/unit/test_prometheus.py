"""What Prometheus scrapes: parsed back by the library's own parsers, it is what the snapshot says."""

from __future__ import annotations

import gc
import logging
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from graphs import DEADLINE_S, Collect, Gate, Map, Source, chain, scheduler_of, until
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from graphflow import Drop, Scheduler, Subgraph
from graphflow.observability import PrometheusCollector
from graphflow.observability.prometheus import BOUNDS

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def registry_of(*schedulers: Scheduler) -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=True)
    registry.register(PrometheusCollector(*schedulers))
    return registry


def scrape(registry: CollectorRegistry) -> Samples:
    """All samples by name and labels; none may come twice."""
    found: Samples = {}
    for family in parse(generate_latest(registry).decode()):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, key
            found[key] = sample.value
    return found


def open_metrics(registry: CollectorRegistry) -> list[Any]:
    """The families as the OpenMetrics format has them."""
    text = generate_openmetrics(registry).decode()  # type: ignore[no-untyped-call]
    return list(parse_openmetrics(text))  # type: ignore[no-untyped-call]


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[f"graphflow_{name}", frozenset(labels.items())]


def ran(**config: Any) -> Scheduler:
    def odd_fails(number: int) -> int:
        if number % 2:
            raise ValueError
        return number

    graph = chain(Source("a", range(1000)), Map("b", odd_fails), Collect("c"), capacity=8)
    scheduler = scheduler_of(graph, **config)
    scheduler.run()
    _kept.append(scheduler)
    return scheduler


_kept: list[Scheduler] = []  # a collector keeps no scheduler alive, the tests do


@pytest.fixture(autouse=True)
def schedulers_are_kept() -> Iterator[None]:
    yield
    _kept.clear()


def test_every_number_is_what_the_snapshot_says() -> None:
    scheduler = ran(metrics=True)
    samples, snapshot = scrape(registry_of(scheduler)), scheduler.snapshot()
    for edge_id, edge in snapshot.edges.items():
        at = {"graph": "chain", "edge": edge_id}
        for name in ("offered", "enqueued", "delivered", "replaced", "coalesced", "expired", "undelivered", "blocked"):
            assert value(samples, f"edge_{name}_total", **at) == getattr(edge, name)
        assert value(samples, "edge_blocked_seconds_total", **at) == pytest.approx(edge.blocked_s)
        assert value(samples, "edge_queue_peak_depth", **at) == edge.peak_depth
        assert value(samples, "edge_queue_depth", **at) == 0
        assert value(samples, "edge_queue_capacity", **at) == 8
    for path, node in snapshot.nodes.items():
        at = {"graph": "chain", "node": path}
        for name in ("messages", "errors", "retries", "ticks", "turns"):
            assert value(samples, f"node_{name}_total", **at) == getattr(node, name)
        assert value(samples, "node_failed_total", reason="failed", **at) == node.failed
        assert value(samples, "node_busy_seconds_total", **at) == pytest.approx(node.busy_s)
    for band, turns in snapshot.scheduler.turns.items():
        assert value(samples, "scheduler_turns_total", graph="chain", band=band) == turns
    assert value(samples, "scheduler_up", graph="chain") == 0
    assert value(samples, "node_failed_total", graph="chain", node="b", reason="failed") == 500


def test_names_units_and_types_are_by_the_book() -> None:
    text = generate_latest(registry_of(ran(metrics=True))).decode()
    families = {family.name: family for family in parse(text)}
    assert len(families) >= 35
    for name, family in families.items():
        assert re.fullmatch(r"graphflow_(edge|node|scheduler)_[a-z_]+", name)
        assert family.documentation
        assert not re.search(r"_(ms|ns|us|kb|milli|nano|micro)", name)
        if family.type == "histogram":
            assert name.endswith("_seconds")
        for sample in family.samples:
            assert sample.labels.keys() <= {"graph", "edge", "node", "band", "reason", "le"}
            assert family.type != "counter" or sample.name.endswith("_total")
            assert sample.value >= 0


def test_the_open_metrics_format_is_legal_too() -> None:
    names = {family.name for family in open_metrics(registry_of(ran(metrics=True)))}
    assert names >= {"graphflow_edge_enqueued", "graphflow_scheduler_up"}


def test_histograms_are_cumulative_and_end_with_all() -> None:
    scheduler = ran(metrics=True)
    samples, snapshot = scrape(registry_of(scheduler)), scheduler.snapshot()
    handling = snapshot.nodes["b"].handler_time
    assert handling is not None
    at = {"graph": "chain", "node": "b"}
    counts = [value(samples, "node_handler_seconds_bucket", le=f"{bound:.10g}", **at) for bound in BOUNDS]
    assert counts == sorted(counts) == handling.cumulative(BOUNDS)
    assert value(samples, "node_handler_seconds_bucket", le="+Inf", **at) == handling.count
    assert value(samples, "node_handler_seconds_count", **at) == handling.count
    assert value(samples, "node_handler_seconds_sum", **at) == pytest.approx(handling.sum)
    assert value(samples, "scheduler_loop_latency_seconds_count", graph="chain") > 0


def test_without_metrics_the_timed_ones_are_left_out() -> None:
    names = {name for name, _ in scrape(registry_of(ran()))}
    assert not any("handler_seconds" in name or "queue_seconds" in name for name in names)
    assert "graphflow_scheduler_loop_latency_seconds_bucket" in names


def test_drops_say_why() -> None:
    gate = Gate()
    graph = Subgraph.from_nodes("g", [gate])
    graph.expose_input("in", "gate:in", capacity=1, policy=Drop())
    scheduler = scheduler_of(graph)
    with scheduler:
        scheduler.input("in").put(1)
        assert gate.entered.wait(DEADLINE_S)
        for number in range(4):
            scheduler.input("in").try_put(number)
        samples = scrape(registry_of(scheduler))
        gate.opened.set()
    at = {"graph": "g", "edge": "input:in->gate:in"}
    reasons = {
        reason: value(samples, "edge_dropped_total", reason=reason, **at) for reason in ("full", "closed", "error")
    }
    assert reasons == {"full": 3, "closed": 0, "error": 0}
    assert value(samples, "scheduler_up", graph="g") == 1
    assert value(samples, "node_in_handler", graph="g", node="gate") == 1


def test_a_stall_is_counted_under_its_kind() -> None:
    gate = Gate()
    graph = Subgraph.from_nodes("g", [gate])
    graph.expose_input("in", "gate:in")
    scheduler = scheduler_of(graph, watchdog_s=0.05)
    registry = registry_of(scheduler)
    with scheduler:
        scheduler.input("in").put(1)
        until(lambda: value(scrape(registry), "scheduler_stalls", graph="g", reason="hook") == 1)
        assert value(scrape(registry), "scheduler_stalls", graph="g", reason="cycle") == 0
        gate.opened.set()


# ---------------------------------------------------------------------------------------- several schedulers


def test_two_schedulers_do_not_collide_even_with_one_name() -> None:
    first, second, third = ran(), ran(), ran(name="other")
    samples = scrape(registry_of(first, second, third))
    for graph in ("chain", "chain-2", "other"):
        assert value(samples, "edge_delivered_total", graph=graph, edge="a:out->b:in") == 1000


def test_a_scheduler_is_exported_once_however_often_it_is_added() -> None:
    scheduler = ran()
    collector = PrometheusCollector(scheduler)
    collector.add(scheduler)
    registry = CollectorRegistry()
    registry.register(collector)
    assert {dict(labels).get("graph") for _, labels in scrape(registry)} == {"chain"}


def test_a_scheduler_that_is_dropped_is_gone_and_was_not_kept_alive() -> None:
    scheduler = scheduler_of(chain(Source("a", range(10)), Collect("b")))
    registry = registry_of(scheduler)
    assert scrape(registry)
    del scheduler
    gc.collect()
    assert scrape(registry) == {}


def test_a_second_collector_in_one_registry_is_refused() -> None:
    registry = registry_of(ran())
    with pytest.raises(ValueError, match="Duplicated timeseries"):
        registry.register(PrometheusCollector(ran()))


def test_registering_takes_no_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler = ran()
    monkeypatch.setattr(Scheduler, "snapshot", lambda self: pytest.fail("a snapshot was taken"))
    registry_of(scheduler)


def test_one_that_cannot_be_read_does_not_hide_the_others(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    good, bad = ran(), ran(name="bad")

    def snapshot(self: Scheduler) -> Any:
        if self is bad:
            raise RuntimeError("not today")
        return original(self)

    original = Scheduler.snapshot
    monkeypatch.setattr(Scheduler, "snapshot", snapshot)
    caplog.clear()
    with caplog.at_level(logging.ERROR, "graphflow"):
        samples = scrape(registry_of(good, bad))
    assert {dict(labels)["graph"] for _, labels in samples} == {"chain"}
    assert [record.event for record in caplog.records] == ["scrape_error"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("given", [None, "x", Subgraph("g")])
def test_what_is_no_scheduler_is_refused(given: Any) -> None:
    with pytest.raises(TypeError, match="PrometheusCollector takes Schedulers, not"):
        PrometheusCollector(given)


# ---------------------------------------------------------------------------------------- at any time


def test_before_a_run_and_after_a_restart_it_can_be_scraped() -> None:
    graph = chain(Source("a", range(10)), Collect("b"))
    scheduler = scheduler_of(graph)
    registry = registry_of(scheduler)
    at = {"graph": "chain", "edge": "a:out->b:in"}
    assert value(scrape(registry), "edge_delivered_total", **at) == 0
    for _ in range(2):
        scheduler.run()
        assert value(scrape(registry), "edge_delivered_total", **at) == 10


def test_numbers_add_up_in_every_scrape_under_load() -> None:
    graph = chain(Source("a", range(20_000)), Map("b"), Collect("c"), capacity=3)
    scheduler = scheduler_of(graph, workers=2, metrics=True)
    registry = registry_of(scheduler)
    over = threading.Event()
    scrapes: list[Samples] = []

    def watch() -> None:
        while not over.wait(0.001):
            scrapes.append(scrape(registry))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        scheduler.run()
    finally:
        over.set()
        thread.join(DEADLINE_S)
    assert scrapes
    before = 0.0
    for samples in scrapes:
        for edge_id in ("a:out->b:in", "b:out->c:in"):
            at = {"graph": "chain", "edge": edge_id}
            left = value(samples, "edge_delivered_total", **at) + value(samples, "edge_queue_depth", **at)
            assert value(samples, "edge_offered_total", **at) == left
        delivered = value(samples, "edge_delivered_total", graph="chain", edge="a:out->b:in")
        assert delivered >= before
        before = delivered


@pytest.mark.parametrize("odd", ['quo"te', "back\\slash", "line\nbreak", "ünïcode", "sp ace", "{brace}"])
def test_odd_names_survive_the_round_trip(odd: str) -> None:
    graph = Subgraph.from_nodes("g", [Source("a", [1]), Collect(odd)])
    graph.connect(("a", "out"), (odd, "in"))
    scheduler = scheduler_of(graph, name=odd)
    scheduler.run()
    registry = registry_of(scheduler)
    samples = scrape(registry)
    assert value(samples, "node_messages_total", graph=odd, node=odd) == 1
    assert value(samples, "edge_delivered_total", graph=odd, edge=f"a:out->{odd}:in") == 1
    assert open_metrics(registry)


def test_without_the_library_it_says_what_to_install() -> None:
    code = """
import sys
sys.modules["prometheus_client"] = sys.modules["prometheus_client.core"] = None
import graphflow.observability as o
try:
    o.PrometheusCollector
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.stdout == "PrometheusCollector needs prometheus-client: pip install 'graphflow[metrics]'\n", done.stderr


def test_the_page_lists_every_metric_with_its_type_and_labels() -> None:
    families: list[Any] = list(PrometheusCollector().describe())
    rows = re.findall(
        r"^\| `(graphflow_\w+)` \| (\w+) \| ([\w, ]+) \|", (ROOT / "docs/prometheus.md").read_text(), re.MULTILINE
    )
    exported = {
        (family.name + ("_total" if family.type == "counter" else ""), family.type, ", ".join(family._labelnames))
        for family in families
    }
    assert exported == set(rows)
