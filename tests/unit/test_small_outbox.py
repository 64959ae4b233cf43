"""An outbox_limit that is smaller than a fan-out: it is said, and the node can still emit."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from graphs import Collect, Map, Source, assert_stopped_clean, run_graph, scheduler_of

from graphflow import ErrorPolicy, Message, Node, SchedulerConfig, Subgraph
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


def test_what_a_handler_emits_beyond_that_is_refused_as_ever() -> None:
    class Twice(Map):
        def on_message(self, port: str, msg: Message) -> None:
            for _ in range(2 if msg.payload == 0 else 1):
                self.emit("out", msg.payload)

    assert SchedulerConfig(outbox_limit=1).outbox_limit == 1
    graph = spread(Twice("map"), 2, numbers=2)
    report = run_graph(graph, outbox_limit=1, workers=1)
    assert not report.undelivered
