from typing import Any

from graphflow.core.cells.cell import Cell
from graphflow.core.engine.engine import Engine
from graphflow.graph.plan import Link
from graphflow.snapshot.flight import FlightKind

def survey_scheduler(engine: Engine | None) -> dict[str, Any]:
    """Fields of a SchedulerSnapshot; of one that never ran where `engine` is None."""

def survey_node(cell: Cell | None) -> dict[str, Any]:
    """Fields of a NodeSnapshot that the core knows; of one that never ran where `cell` is None."""

def survey_flight(engine: Engine) -> tuple[list[tuple[float, FlightKind, int, int, str]], int, int]:
    """The events of the flight recorder: (seconds on the run's clock, event, worker or -1, node or -1, detail), how
    many older ones were overwritten, and how many were left out. What a worker is in is there in any case."""

def note_stall(engine: Engine, node: int) -> None:
    """Keep in the flight recorder that the watchdog has found a stall of a node (-1: of none)."""

def survey_edge(engine: Engine | None, link: Link) -> dict[str, Any]:
    """Fields of an EdgeSnapshot that the core knows."""
