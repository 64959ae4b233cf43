"""Policies x capacities x observability x workers: each cell is a run whose outcome is known."""

from __future__ import annotations

import itertools
import logging
from typing import TYPE_CHECKING, Any

import pytest
from graphs import (
    DEADLINE_S,
    Collect,
    Map,
    Source,
    assert_graph_conserved,
    assert_stopped_clean,
    chain,
    scheduler_of,
    until,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from graphflow import Message, Node, Scheduler, Subgraph, block, coalesce, drop, latest
from graphflow.observability import RecentLogs, instrument

if TYPE_CHECKING:
    from collections.abc import Iterator

POLICIES: dict[str, Any] = {"block": block, "drop": drop, "latest": latest, "coalesce": lambda: coalesce(max)}
CAPACITIES = (8, 16, 64, 256, 1024, 4096)
WORKERS = (1, 2, 8)
OBSERVED = ("nothing", "metrics", "logs", "metrics and logs", "traces")
BURST = 300


class Burst(Node):
    """Emits all its numbers at each message, without waiting for room."""

    inputs: Any = "in"
    outputs: Any = "out"

    def on_message(self, port: str, msg: Message) -> None:
        for number in range(BURST):
            self.emit("out", msg.payload * BURST + number)


@pytest.fixture
def observed(request: pytest.FixtureRequest) -> Iterator[str]:
    """Logs at DEBUG while the test runs, where it wants them; then they tell how the run went."""
    logger = logging.getLogger("graphflow")
    before, recent = logger.level, RecentLogs()
    logger.addHandler(recent)
    if "logs" in request.param:
        logger.setLevel(logging.DEBUG)
    yield request.param
    logger.setLevel(before)
    logger.removeHandler(recent)
    told = [record["event"] for record in recent.records()]
    assert ({"run_started", "run_draining", "run_ended"} <= set(told)) is ("logs" in request.param), told


def run(graph: Subgraph, workers: int, observed: str) -> Scheduler:
    """Run a graph that ends by itself, observed, and look at what was observed."""
    scheduler = scheduler_of(graph, workers=workers, metrics="metrics" in observed)
    exporter = InMemorySpanExporter()
    if observed == "traces":
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        with instrument(scheduler, tracer_provider=provider):
            report = wait(scheduler)
    else:
        report = wait(scheduler)
    assert_stopped_clean(graph, report)
    snapshot = scheduler.snapshot()
    timed = [node.handler_time for node in snapshot.nodes.values()]
    assert all((times is not None) is ("metrics" in observed) for times in timed)
    spans = exporter.get_finished_spans()
    assert (len(spans) > 0) is (observed == "traces")
    if observed == "traces":
        handled = sum(node.handled for node in snapshot.nodes.values())
        assert len(spans) >= handled, "one for each message that was handled, and those of sources"
    return scheduler


def wait(scheduler: Scheduler) -> Any:
    scheduler.start()
    try:
        return scheduler.wait(DEADLINE_S)
    finally:
        if scheduler.is_running():
            scheduler.shutdown(drain=False)


@pytest.mark.parametrize("observed", OBSERVED, indirect=True)
@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize(("policy", "capacity"), list(itertools.product(POLICIES, CAPACITIES)))
def test_every_cell_keeps_what_its_policy_promises(policy: str, capacity: int, workers: int, observed: str) -> None:
    """Bursts into an edge of the policy, whose reader is as fast as it is: what gets through, and what is counted."""
    messages = 4 if observed == "traces" else 10
    last = Collect()
    graph = Subgraph.from_nodes("cell", [Source("source", range(messages)), Burst("burst"), Map("map"), last])
    graph.connect("source:out", "burst:in", capacity=capacity)
    graph.connect("burst:out", "map:in", capacity=capacity, policy=POLICIES[policy]())
    graph.connect("map:out", "collect:in", capacity=capacity)
    scheduler = run(graph, workers, observed)
    edge = scheduler.snapshot().edges["burst:out->map:in"]
    sent = messages * BURST
    assert edge.offered == sent
    assert edge.delivered == len(last.seen)
    assert edge.peak_depth <= capacity
    assert last.seen == sorted(set(last.seen)), "in order, none twice"
    lost = {"block": 0, "drop": edge.dropped, "latest": edge.replaced, "coalesce": edge.coalesced}[policy]
    assert edge.delivered + lost == sent, "nothing is lost in another way than its policy's"
    if policy == "block" or capacity >= sent:
        assert last.seen == list(range(sent))
    elif policy != "drop":
        assert last.seen[-1] == sent - 1, "the newest is never lost"
    if policy == "drop":
        assert last.seen[0] == 0, "the oldest is never lost"


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("capacity", CAPACITIES)
@pytest.mark.parametrize("policy", POLICIES)
def test_a_burst_that_nobody_takes_from_fills_exactly_the_capacity(policy: str, capacity: int, workers: int) -> None:
    """The reader is paused: what lies there then is the policy's choice, number for number."""
    last = Collect()
    graph = chain(Map("map"), last, capacity=capacity, policy=POLICIES[policy]())
    graph.expose_input("in", "map:in", capacity=2 * capacity)
    scheduler = scheduler_of(graph, workers=workers)
    scheduler.pause(last)
    sent = capacity + capacity // 2
    with scheduler:
        scheduler.input("in").put_many(range(sent))
        edge = next(edge for edge in graph.edges if edge.target_node == "collect")
        expected = capacity if policy == "block" else sent
        until(lambda: edge.stats().offered >= expected)
        assert edge.depth() == capacity
        scheduler.shutdown(timeout=DEADLINE_S)
    assert_graph_conserved(graph)
    whole = list(range(sent))
    assert (
        last.seen
        == {
            "block": whole,
            "drop": whole[:capacity],
            "latest": whole[-capacity:],
            "coalesce": [*whole[: capacity - 1], sent - 1],
        }[policy]
    )
