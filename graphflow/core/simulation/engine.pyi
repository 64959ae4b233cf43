from collections.abc import Callable
from random import Random

from graphflow.core.cells.cell import Cell
from graphflow.core.engine.engine import Engine
from graphflow.core.simulation.interleaver import Baton, Rules
from graphflow.graph.node import Node
from graphflow.graph.plan import Plan
from graphflow.runtime.config import SchedulerConfig

class SimulatedEngine(Engine):
    """One run of a graph in a simulation. `hooks(path, node, index)` gives what has the node's hooks there."""

    def __init__(
        self,
        plan: Plan,
        config: SchedulerConfig,
        token: int,
        name: str,
        baton: Baton,
        new_random: Callable[[], Random],
        hooks: Callable[[str, Node, int], object],
    ) -> None: ...
    def attach(self) -> None:
        """Join the edges to this run; from here on other actors come in between."""

    def conclude(self) -> dict[str, int]:
        """After the run: the edges are ordinary ones again."""

    @property
    def stops(self) -> list[tuple[bool, float | None]]: ...
    def request_stop(self, drain: bool, timeout_s: float | None) -> None:
        """As Engine's; who asked for what is kept."""

    def linger(self, cell: Cell, until_ns: int) -> bool:
        """A hook of the node rests until that time, and others go on; False: the node is to end."""

    def end_now(self) -> None:
        """Whatever the run is at: it is over."""

    def message_begins(self, index: int, data: bool) -> None:
        """A node begins a message: if it is data, a tick that is due is overtaken."""

class RunRules(Rules):
    """What must hold in a run."""
