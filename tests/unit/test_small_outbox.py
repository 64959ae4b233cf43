"""An outbox_limit that is smaller than a fan-out: it is said, and the node can still emit."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest
from graphs import DEADLINE_S, Collect, Map, Source, assert_stopped_clean, fan_out, run_graph, scheduler_of

from graphflow import BackpressureError, ErrorPolicy, Message, Node, PutResult, Subgraph
from graphflow.nodes import map_node


def spread(node: Node, count: int, numbers: int = 50) -> Subgraph:
    """A source, the node, and so many consumers with next to no room."""
    consumers = [Collect(f"c{number}") for number in range(count)]
    graph = Subgraph.from_nodes("spread", [Source("source", range(numbers)), node, *consumers])
    graph.connect("source:out", (node.name, "in"), capacity=1)
    for consumer in consumers:
        graph.connect((node.name, "out"), (consumer.name, "in"), capacity=1)
    return graph


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    said = [record for record in caplog.records if vars(record).get("event") == "graph_warning"]
    return [record.getMessage() for record in said if vars(record)["code"] == "SMALL_OUTBOX"]


@pytest.mark.parametrize(
    ("make", "settings"),
    [
        (lambda: Map("map"), {}),
        (lambda: map_node(lambda value: value, "map"), {}),
        (lambda: Map("map"), {"max_concurrency": 3}),
        (lambda: Map("map"), {"max_concurrency": 3, "ordered": False}),
        (lambda: Map("map"), {"error_policy": ErrorPolicy.retry(2, backoff_s=0.001)}),
    ],
)
def test_a_fan_out_wider_than_the_limit_loses_nothing(make: Any, settings: dict[str, Any]) -> None:
    node = make()
    for name, value in settings.items():
        setattr(node, name, value)
    graph = spread(node, 3)
    report = run_graph(graph, outbox_limit=1, workers=2)
    assert_stopped_clean(graph, report)
    assert report.errors == {}
    for name in ("c0", "c1", "c2"):
        consumer = graph.nodes[name]
        assert isinstance(consumer, Collect)
        assert sorted(consumer.seen) == list(range(50))


def test_a_message_can_be_emitted_although_all_its_edges_are_full() -> None:
    narrow = {"capacity": 1}
    with fan_out(narrow, narrow, narrow, outbox_limit=1) as (remote, scheduler, _, consumers):
        assert remote.emit_there(scheduler, "fits") == PutResult.OK
        assert remote.emit_there(scheduler, "waits") == PutResult.DEFERRED
        with pytest.raises(BackpressureError, match=r"its outbox holds 3 messages .* outbox_limit is 3"):
            remote.emit_there(scheduler, "too much")
        for consumer in consumers:
            scheduler.resume(consumer)
            assert consumer.expect(2) == ["fits", "waits"]


@pytest.mark.parametrize("ordered", [True, False])
def test_each_call_under_way_can_emit_one(ordered: bool) -> None:
    """What others have kept does not count against a call that has emitted nothing."""

    class Together(Map):
        max_concurrency = 3

        def on_message(self, port: str, msg: Message) -> None:
            self.emit("out", msg.payload)
            together.wait(DEADLINE_S)

    together = threading.Barrier(3)
    node = Together("map")
    node.ordered = ordered
    report = run_graph(spread(node, 2, numbers=3), outbox_limit=1, workers=3)
    assert report.errors == {}


def test_registering_says_which_port_and_what_the_limit_is_then(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "graphflow"):
        scheduler = scheduler_of(spread(Map("map"), 3), outbox_limit=2)
    (said,) = warnings_of(caplog)
    assert "output port 'out' of node 'map' has 3 edges, and outbox_limit is 2" in said
    with scheduler:
        assert scheduler.snapshot().nodes["map"].outbox_limit == 3
        assert scheduler.snapshot().nodes["source"].outbox_limit == 2


def test_a_limit_of_just_the_edges_is_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "graphflow"):
        scheduler_of(spread(Map("map"), 3), outbox_limit=3)
    assert warnings_of(caplog) == []
