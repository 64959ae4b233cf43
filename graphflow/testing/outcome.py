"""What a simulation returns, or raises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from graphflow.base.errors import GraphflowError

if TYPE_CHECKING:
    from graphflow.runtime.report import ShutdownReport
    from graphflow.snapshot.values import Snapshot

_LAST = 12  # steps that a failure shows


class TraceEvent(NamedTuple):
    """One step: who went on, or what it did."""

    step: int
    """Places at which the seed had to choose, so far."""
    at_s: float
    """Seconds of the simulation's time since it began."""
    thread: str
    """"main", "keeper", "worker-0", "dedicated-1", or the name of a function in `threads`."""
    what: str
    """"goes on", a hook like "parse.on_message", "time jumps", a fault, a failure."""

    def __str__(self) -> str:
        return f"{self.step:>8}  {self.at_s:12.7f} s  {self.thread:<12} {self.what}"


@dataclass(frozen=True)
class Simulation:
    """How a simulated run went."""

    seed: int
    """It makes the same run again."""
    trace: tuple[TraceEvent, ...]
    """Every change of threads, hook and fault, in order."""
    trace_hash: str
    """Of the trace and of all counts: equal for equal runs, step by step. 32 hexadecimal digits."""
    snapshot: Snapshot
    """Everything that was counted, at the end."""
    report: ShutdownReport
    """How the run ended."""
    steps: int
    """Places at which the seed had to choose."""
    elapsed_s: float
    """Seconds of the simulation's own time."""


class SimulationFailed(GraphflowError, AssertionError):
    """Something that must hold did not. The message says what, the seed, and the command that runs the same again."""

    what: str
    """What must hold and did not."""
    seed: int
    """It makes the same failure again."""
    again: str
    """The command that does."""
    trace: tuple[TraceEvent, ...]
    """Up to the failure, and how everybody left after it."""

    def __init__(self, what: str, seed: int, again: str, trace: tuple[TraceEvent, ...]) -> None:
        last = "\n".join(f"  {event}" for event in trace[-_LAST:])
        super().__init__(f"{what}\nseed: {seed}\nagain: {again}\nthe last steps:\n{last}")
        self.what = what
        self.seed = seed
        self.again = again
        self.trace = trace
