"""The graph.

    lines -> intake/parse -> intake/validate --flights--> count --sums--> writer
                   |                |   +------flights----------------->    |
                   |                +----------rejects----------------->    |
                   +---------------------------rejects----------------->    |
    commands ---------------------------------------------------------->    |

Every edge blocks when it is full, so a slow writer slows the senders down and no line is lost.
Capacities are in messages.
"""

from examples.ingest_service.nodes import CountByCarrierHour, Parse, Validate
from examples.ingest_service.writer import SQLiteWriter
from graphflow import Block, PriorityBand, Subgraph

LINES_BYTES_MAX = 8 * 1024 * 1024


def intake() -> Subgraph:
    """Lines in; flights, lines that could not be read, and records that are no flight out."""
    graph = Subgraph("intake")
    graph.add_node(Parse("parse"))
    graph.add_node(Validate("validate"))
    graph.connect("parse:records", "validate:records", capacity=256)
    graph.expose_input("lines", "parse:lines")
    graph.expose_output("flights", "validate:flights")
    graph.expose_output("unreadable", "parse:rejects")
    graph.expose_output("invalid", "validate:rejects")
    return graph


def ingest_graph(writer: SQLiteWriter, lines_capacity: int = 2048) -> Subgraph:
    """The whole service behind its two inputs, `lines` and `commands`."""
    graph = Subgraph("ingest")
    graph.add_subgraph(intake())
    graph.add_node(CountByCarrierHour("count"))
    graph.add_node(writer)

    graph.connect("intake:flights", "writer:flights", capacity=1024, policy=Block())
    graph.connect("intake:flights", "count:flights", capacity=1024)
    graph.connect("count:sums", "writer:sums", capacity=512)
    # Rejects are few, and an operator wants to see them soon.
    for kind in ("unreadable", "invalid"):
        graph.connect(f"intake:{kind}", "writer:rejects", capacity=256, priority=PriorityBand.HIGH)

    graph.expose_input(
        "lines",
        "intake:lines",
        capacity=lines_capacity,
        max_bytes=LINES_BYTES_MAX,  # a few senders of 64 KiB lines must not fill the memory
        sizeof=len,
    )
    graph.expose_input("commands", "writer:commands", capacity=1, priority=PriorityBand.CONTROL)
    return graph
