"""Prometheus: a running graph is scraped over HTTP, and a scrape shows where messages wait.

    pip install 'graphflow[metrics]'
    python examples/prometheus_endpoint.py

prints:

    while the node is paused
      graphflow_edge_delivered_total{edge="input:numbers->double:in",graph="doubling"} 0.0
      graphflow_edge_queue_depth{edge="input:numbers->double:in",graph="doubling"} 100.0
    when it has gone on
      graphflow_edge_delivered_total{edge="input:numbers->double:in",graph="doubling"} 100.0
      graphflow_edge_queue_depth{edge="input:numbers->double:in",graph="doubling"} 0.0
"""

import sys
import urllib.request

from graphflow import Message, Node, Scheduler, Subgraph

try:
    from prometheus_client import CollectorRegistry, start_http_server
except ImportError:
    sys.exit("this example needs prometheus-client: pip install 'graphflow[metrics]'")
from graphflow.observability import PrometheusCollector


class Double(Node):
    """A node like any other: nothing here is about metrics."""

    inputs, outputs = "in", "out"

    def on_message(self, port: str, msg: Message) -> None:
        """Send the double."""
        self.emit("out", 2 * msg.payload)


def show(port: int, *metrics: str) -> None:
    """Scrape as a Prometheus server does, and print the lines of some metrics of the graph's input."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith(metrics) and 'edge="input:' in line:
                print(" ", line)


def main() -> None:
    """Run the graph beside the endpoint, and scrape twice."""
    graph = Subgraph.from_nodes("doubling", [Double("double")])
    graph.expose_input("numbers", "double:in", capacity=100)
    graph.expose_output("doubled", "double:out", capacity=100)
    scheduler = Scheduler()
    scheduler.register(graph)
    registry = CollectorRegistry()
    registry.register(PrometheusCollector(scheduler))
    server, thread = start_http_server(0, "127.0.0.1", registry)  # port 0: any that is free

    wanted = ("graphflow_edge_queue_depth", "graphflow_edge_delivered_total")
    scheduler.pause("double")
    with scheduler:
        scheduler.input("numbers").put_many(range(100))
        print("while the node is paused")
        show(server.server_port, *wanted)
        scheduler.resume("double")
        for _ in range(100):
            scheduler.output("doubled").get(timeout=10)
        print("when it has gone on")
        show(server.server_port, *wanted)
    server.shutdown()
    server.server_close()
    thread.join()


if __name__ == "__main__":
    main()
