"""The smallest useful graph: a source, a step and a sink, joined by bounded edges.

    python examples/hello_graph.py

prints:

    Hello, Ada!
    Hello, Grace!
    Hello, Katherine!
    completed: complete
    names:out->greet:in carried 3
    greet:out->show:in carried 3
"""

from graphflow import Scheduler, Subgraph
from graphflow.nodes import node, sink_node, source_node


@node
def greet(name: str) -> str:
    """A function of the payload is a node; what it returns is sent on."""
    return f"Hello, {name}!"


def main() -> None:
    """Build the graph, run it to its end, and look at what its edges counted."""
    names = source_node(["Ada", "Grace", "Katherine"], "names")
    graph = Subgraph.from_nodes("hello", [names, greet, sink_node(print, "show")])
    graph.connect("names:out", "greet:in", capacity=16)  # at most 16 messages wait here: then the source rests
    graph.connect("greet:out", "show:in", capacity=16)

    scheduler = Scheduler()
    scheduler.register(graph)
    print(scheduler.run())  # returns when the source has ended and everything is handled
    for edge in graph.edges:
        print(edge.id, "carried", edge.stats().delivered)


if __name__ == "__main__":
    main()
