"""Nodes made from a function: operators whose steps are compiled, and the `node` decorator.

    from graphflow.nodes import filter_node, map_node, sink_node, source_node

They run several times as fast as a class with on_message, as no Python frame but the function's runs for a message.
Their ports are "in" and "out" (a name, a PortSpec or a Port may be given instead). The function gets payloads; the
headers of a message are carried over to what is made of it. CONTROL and ERROR messages pass on unchanged, but for dead
letters: on an edge from the port that an error policy names, the function is handed the DeadLetter.
"""

from graphflow.nodes.decorator import DecoratedNode, node
from graphflow.nodes.factories import (
    NodeSettings,
    batch_node,
    filter_node,
    flat_map_node,
    map_node,
    sink_node,
    source_node,
)

__all__ = [
    "DecoratedNode",
    "NodeSettings",
    "batch_node",
    "filter_node",
    "flat_map_node",
    "map_node",
    "node",
    "sink_node",
    "source_node",
]
