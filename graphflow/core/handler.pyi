from typing import Any

from graphflow.core.edge import Edge
from graphflow.node import Node

class Inlet:
    """Where an edge enters a node."""

    @property
    def edge(self) -> Edge[Any]: ...

class Suspended:
    """A generator handler between two of its values."""

class Handler:
    """What a node does with messages, ticks and its source."""

    @property
    def node(self) -> Node: ...
    @property
    def inlets(self) -> list[Inlet]: ...
    @property
    def handled(self) -> int: ...
    @property
    def failed(self) -> int: ...
    @property
    def abandoned(self) -> int: ...
    @property
    def in_handler(self) -> int: ...
    @property
    def ticks(self) -> int: ...
    @property
    def error_count(self) -> int: ...
    @property
    def errors(self) -> list[BaseException]: ...
    @property
    def source_failed(self) -> bool: ...
