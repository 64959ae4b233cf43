"""graphflow with nodes made of functions, whose steps are compiled."""

from __future__ import annotations

import time

from graphflow import Scheduler, Subgraph
from graphflow.nodes import map_node, sink_node, source_node
from peers import CAPACITY, double, increment

PACKAGE = "graphflow"
MESSAGES = 300_000


def run(count: int) -> tuple[float, int]:
    """Run the graph to its end."""
    total = 0

    def add(number: int) -> None:
        nonlocal total
        total += number

    graph = Subgraph.from_nodes(
        "peer", [source_node(range(count)), map_node(increment), map_node(double), sink_node(add)]
    )
    for source, target in (("source", "increment"), ("increment", "double"), ("double", "add")):
        graph.connect((source, "out"), (target, "in"), capacity=CAPACITY)
    scheduler = Scheduler()
    scheduler.register(graph)
    began = time.perf_counter()
    scheduler.run()
    return time.perf_counter() - began, total
