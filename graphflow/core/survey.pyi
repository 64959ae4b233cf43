from typing import Any

from graphflow.core.cell import Cell
from graphflow.core.engine import Engine
from graphflow.topology import Link

def survey_scheduler(engine: Engine | None) -> dict[str, Any]:
    """Fields of a SchedulerSnapshot; of one that never ran where `engine` is None."""

def survey_node(cell: Cell | None) -> dict[str, Any]:
    """Fields of a NodeSnapshot that the core knows; of one that never ran where `cell` is None."""

def survey_edge(engine: Engine | None, link: Link) -> dict[str, Any]:
    """Fields of an EdgeSnapshot that the core knows."""
