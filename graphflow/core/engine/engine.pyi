from collections.abc import Callable
from random import Random
from typing import Literal

from graphflow.core.cells.cell import Cell
from graphflow.core.sync.clock import Clock
from graphflow.core.sync.latch import Latch
from graphflow.graph.plan import Link, Plan
from graphflow.runtime.config import SchedulerConfig
from graphflow.runtime.tracing import Spans

class Engine:
    """One run of a graph, without the threads; see graphflow.runtime.run. `new_random` makes generators of random
    numbers."""

    def __init__(
        self,
        plan: Plan,
        config: SchedulerConfig,
        token: int,
        name: str,
        clock: Clock,
        new_random: Callable[[], Random],
    ) -> None: ...
    @property
    def name(self) -> str: ...
    @property
    def metrics(self) -> bool: ...
    @property
    def cells(self) -> list[Cell]: ...
    @property
    def links(self) -> list[Link]: ...
    @property
    def dispatch(self) -> object: ...
    @property
    def token(self) -> int: ...
    @property
    def crews(self) -> int: ...
    @property
    def loop_crew(self) -> int: ...
    @property
    def new_random(self) -> Callable[[], Random]: ...
    @property
    def opened(self) -> Latch:
        """Set when every on_start has returned, or the run is over."""

    @property
    def failure(self) -> BaseException | None: ...
    @property
    def status(self) -> str:
        """starting, running, draining, stopping or stopped."""

    @property
    def undrained(self) -> bool:
        """Nodes had not run dry, and not had their on_drain, when the run stopped."""

    @property
    def asked_to_drain(self) -> bool: ...
    def seconds_left(self) -> float:
        """Until the deadline of the stop; where there is none, what a stop of the scheduler's has."""

    @property
    def timed_out(self) -> bool: ...
    def claim(self) -> None:
        """Tie the nodes to this run, all or none: GraphValidationError if one is part of another."""

    def disclaim(self) -> None:
        """Untie the nodes of a run that did not begin."""

    def attach(self) -> None:
        """Join the edges to this run. From here on a put wakes a worker."""

    def begin(self) -> None:
        """Let the workers start the nodes."""

    def announce(self) -> None:
        """Set `opened` if the nodes have started."""

    def close_inputs(self) -> None:
        """Close the edges of the exposed inputs."""

    def work(self, crew_index: int, worker: int) -> None:
        """A worker's life: run what its crew has ready, sleep when there is nothing, return when the run has ended."""

    def keep(self) -> Literal["leave", "add worker", "look", "tell"]:
        """The keeper's life: returns what is to be done before it is called again; "leave": the run has ended."""

    def new_phases(self) -> list[Literal["draining", "stopping"]]:
        """Names of the phases that have begun since the last call."""

    def set_spans(self, spans: Spans | None) -> None:
        """Trace what the nodes handle from now on, or (None) do not."""

    def now(self) -> float:
        """Seconds on the clock of the run."""

    def on_my_thread(self) -> bool:
        """True on a worker thread of this scheduler."""

    def request_stop(self, drain: bool, timeout_s: float | None) -> None:
        """Ask for a stop; `timeout_s` bounds it, None is no bound."""

    def fatal(self, error: BaseException) -> None:
        """A node's error stops the graph: the first one is kept for run() and wait()."""

    def conclude(self) -> dict[str, int]:
        """After the run: close and release everything; returns undelivered counts by edge id."""

    def linger(self, cell: Cell, until_ns: int) -> bool:
        """A hook of the node rests until that time; False: the node is to end."""

    def let_go(self, cell: Cell) -> None:
        """Release a node that the run ended without waiting for."""

    def left_inside(self) -> tuple[str, ...]:
        """Paths of the nodes whose hooks had not returned when the run ended."""

    def inside(self) -> tuple[str, ...]:
        """Paths of the nodes that a worker is inside of now."""

    def counts(self) -> tuple[int, int]:
        """Nodes that are ready, and nodes whose outbox holds something."""

    def set_paused(self, index: int, paused: bool) -> None:
        """Let a node handle no data, ticks or produce, or let it go on."""

    def set_band(self, edge_id: str, band: int) -> None:
        """Move an edge to another priority band, at once."""
