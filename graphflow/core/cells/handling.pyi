from typing import Any

from graphflow.core.cells.errors import Faults
from graphflow.core.edges.edge import Edge

class Inlet:
    """Where an edge enters a node."""

    @property
    def edge(self) -> Edge[Any]: ...

class Suspended:
    """A generator handler between two of its values."""

class Handler(Faults):
    """What a node does with messages, ticks and its source."""

    @property
    def inlets(self) -> list[Inlet]: ...
    @property
    def handled(self) -> int: ...
    @property
    def abandoned(self) -> int: ...
    @property
    def cut_short(self) -> int: ...
    @property
    def closed_early(self) -> int: ...
    @property
    def in_handler(self) -> int: ...
    @property
    def ticks(self) -> int: ...
    @property
    def source_failed(self) -> bool: ...
