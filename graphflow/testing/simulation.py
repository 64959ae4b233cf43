"""Runs a graph in a simulation: one thread at a time, on a virtual clock, every choice the seed's."""

from __future__ import annotations

import gc
import hashlib
import inspect
import os
import time
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from graphflow.base.arguments import seconds, whole
from graphflow.base.errors import EdgeClosed, GraphValidationError, SchedulerStateError
from graphflow.base.fork_locks import new_lock
from graphflow.base.issues import error
from graphflow.core.messages.message import set_stamp_clock
from graphflow.core.messages.trace_id import set_id_source
from graphflow.core.simulation.interleaver import Abandoned, Actor, Baton, acting
from graphflow.graph.node import Node
from graphflow.graph.plan import nodes_of
from graphflow.graph.subgraph import Subgraph
from graphflow.graph.validation.node_settings import is_async
from graphflow.runtime.config import SchedulerConfig
from graphflow.runtime.scheduler import Scheduler, _live
from graphflow.testing.faults import Fault, HandlerHangs, HandlerRaises, InjectedError, PutTimesOut
from graphflow.testing.outcome import Simulation, SimulationFailed, TraceEvent
from graphflow.testing.replay import SEED_VARIABLE, again
from graphflow.testing.threads import ActorThread, SimulatedShell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graphflow.core.simulation.engine import SimulatedEngine
    from graphflow.runtime.report import ShutdownReport

Graph = Subgraph | Node | Iterable[Subgraph | Node]

_one_at_a_time = new_lock()  # trace ids and timestamps are the process's
_FOR_EVER_S = 1e6  # of virtual time: a drain that takes as long hangs


def simulate(
    graph: Graph | Callable[[], Graph],
    *,
    seed: int | None = None,
    until: float | None = None,
    threads: Iterable[Callable[[Scheduler], object]] = (),
    faults: Iterable[Fault] = (),
    check: Callable[[Scheduler], object] | None = None,
    config: SchedulerConfig | None = None,
    handler_s: tuple[float, float] = (1e-6, 5e-3),
    interleave: Literal["handlers", "sections"] = "handlers",
    max_steps: int = 1_000_000,
    replay: str | None = None,
) -> Simulation:
    """Run a graph on a virtual clock, with every choice that threads leave to chance made by `seed`.

    The core is the one that runs it anywhere else. One thread runs at a time, and which one goes on is drawn wherever
    another could come in between: before each critical section of an edge or of the scheduler, and where one waits.
    Drawn as well: how long a handler takes, how late a wake-up is seen, after how many messages a batch is cut, which
    faults happen. A call that would wait (a put, a get, `wait`, `shutdown`, `sleep` of this module) lets others go on.
    The same seed makes the same run, step by step; use a new graph each time (or a function that makes it), as nodes
    keep what they have seen.

    - `graph`: a Subgraph, a Node or several, or a function without arguments that makes them. Async nodes are refused.
    - `seed`: None takes one from GRAPHFLOW_SIMULATE_SEED, or draws it. (That variable goes before a given seed, too.)
    - `until`: seconds of virtual time after which the faults end and the graph is drained; None: when it ends by
      itself.
    - `threads`: functions that are called with the scheduler, each on a thread of its own: who puts into exposed inputs
      and reads from outputs. An EdgeClosed that ends one after the stop has begun is no error. Not from an event loop,
      which waits for real while nobody else may go on: `aput`, `aget` and the like raise SchedulerStateError there.
    - `faults`: what may go wrong until then: HandlerRaises, HandlerHangs, PutTimesOut.
    - `check`: called with the scheduler at the end; raises AssertionError for what must not be. What else it raises is
      a failure too.
    - `config`: as for Scheduler.
    - `handler_s`: least and most seconds that a handler takes (drawn between them, short ones more often; a quarter
      takes none).
    - `interleave`: "handlers": a handler runs in one piece, unless it waits. "sections": others may come in between
      wherever it emits, as with real threads; such handlers hold no lock while they emit.
    - `max_steps`: choices after which a run counts as endless; it has as many again for the drain.
    - `replay`: the command that a failure shows, "{seed}" standing for the seed.

    Raises SimulationFailed when something does not hold: messages are lost or counted twice, a bound is passed, a tick
    is overtaken, a wake-up is lost, nothing can go on, it does not end, the drain leaves something, `check` or a
    function in `threads` raises, an error stops the graph (STOP_GRAPH; one that a fault has injected may).
    KeyboardInterrupt and SystemExit of a handler leave it as they are. TypeError or ValueError for wrong arguments,
    GraphValidationError for a graph that cannot run, SchedulerStateError while another simulation runs in this process.
    """
    seed = _chosen_seed(seed)
    if until is not None:
        seconds("until", until)
    whole("max_steps", max_steps, 1, 2**62)
    if interleave not in ("handlers", "sections"):
        raise ValueError(f"interleave must be 'handlers' or 'sections', not {interleave!r}")
    listed = _checked_faults(faults, until)
    functions = [_checked_thread(function) for function in threads]
    least, most = (seconds("handler_s", each) for each in handler_s)
    with _alone():
        scheduler = Scheduler(config)
        for item in _items(graph):
            scheduler.register(item)
        world = World(seed, max_steps, listed, (least, most), interleave)
        scheduler._shell = SimulatedShell(world)
        with _repeatable(world.baton):
            return _Play(world, scheduler, functions, until, check, again(seed, replay)).play()


def sleep(seconds: float) -> None:
    """Let time pass: that of the simulation on its threads, else the machine's."""
    actor = acting()
    if actor is None:
        time.sleep(seconds)
    else:
        actor.sleep(seconds)


def _chosen_seed(seed: int | None) -> int:
    """The seed in the environment, else the one that was given, else a drawn one."""
    given = os.environ.get(SEED_VARIABLE)
    if given:
        seed = int(given)
    elif seed is None:
        seed = int.from_bytes(os.urandom(6), "big")
    return whole("seed", seed, 0, 2**64 - 1)


def _checked_faults(faults: Iterable[Fault], until: float | None) -> list[Fault]:
    listed = list(faults)
    for fault in listed:
        if not isinstance(fault, (HandlerRaises, HandlerHangs, PutTimesOut)):
            raise TypeError(f"faults must be HandlerRaises, HandlerHangs or PutTimesOut, not {fault!r}")
        if until is None and isinstance(fault, HandlerHangs) and fault.seconds is None:
            raise ValueError(
                "a HandlerHangs without seconds hangs until the faults end: give it seconds, or give until"
            )
    return listed


def _checked_thread(function: Any) -> Callable[[Scheduler], object]:
    if not callable(function) or inspect.iscoroutinefunction(function):
        raise TypeError(f"threads must be functions that take the scheduler, not {function!r}")
    checked: Callable[[Scheduler], object] = function
    return checked


def _items(graph: Graph | Callable[[], Graph]) -> list[Subgraph | Node]:
    """What is to run; GraphValidationError where a node is async."""
    made = graph() if callable(graph) else graph
    items = [made] if isinstance(made, (Subgraph, Node)) else list(made)
    for item in items:
        if not isinstance(item, (Subgraph, Node)):
            raise TypeError(
                f"graph must be a Subgraph or a Node, or several, or a function that makes them, not {item!r}"
            )
    refused = [
        error("ASYNC_NODE", f"node {path!r} has async hooks, whose event loop a simulation does not control yet")
        for item in items
        for path, node in nodes_of(item)
        if is_async(node)
    ]
    if refused:
        raise GraphValidationError(refused)
    return items


@contextmanager
def _alone() -> Iterator[None]:
    """No other simulation runs in this process."""
    if not _one_at_a_time.acquire(blocking=False):
        raise SchedulerStateError("simulate() needs to be alone: another simulation runs in this process")
    try:
        yield
    finally:
        _one_at_a_time.release()


@contextmanager
def _repeatable(baton: Baton) -> Iterator[None]:
    """Trace ids are the seed's, timestamps the virtual clock's, and finalizers do not run when memory happens to be
    short."""
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    set_id_source(lambda: 1 + baton.below(1 << 48))
    set_stamp_clock(baton.clock)
    try:
        yield
    finally:
        set_stamp_clock(None)
        set_id_source(None)
        if collecting:
            gc.enable()


class World:
    """What is drawn in a simulation, and what its hooks may do."""

    engine: SimulatedEngine

    def __init__(
        self,
        seed: int,
        max_steps: int,
        faults: list[Fault],
        handler_s: tuple[float, float],
        interleave: Literal["handlers", "sections"],
    ) -> None:
        self.seed = seed
        self.max_steps = max_steps
        self.faults = faults
        self.interleave = interleave
        self.faulty: bool = True
        self.baton: Baton = Baton(seed, max_steps)
        self.baton.put_timeouts = max((fault.chance for fault in faults if isinstance(fault, PutTimesOut)), default=0.0)
        self.note: Callable[[str], None] = self.baton.note
        self.below: Callable[[int], int] = self.baton.below
        self._handler_s = handler_s

    def luck(self, chance: float) -> bool:
        """True as often as `chance` says."""
        return self.baton.random() < chance

    def handler_time(self) -> float:
        """Seconds that a handler takes, drawn."""
        least, most = self._handler_s
        draw = self.baton.random()
        if most <= 0 or draw < 0.25:
            return 0.0
        low = max(least, 1e-9)
        return float(low * (max(most, low) / low) ** ((draw - 0.25) / 0.75))

    def message_begins(self, index: int, data: bool) -> None:
        """A node begins a message."""
        self.engine.message_begins(index, data)

    def calm_down(self) -> None:
        """No faults from here on; what hangs goes on."""
        self.faulty = False
        self.baton.put_timeouts = 0.0


class _Play:
    """One simulated run, from its start to its verdict."""

    def __init__(
        self,
        world: World,
        scheduler: Scheduler,
        functions: list[Callable[[Scheduler], object]],
        until: float | None,
        check: Callable[[Scheduler], object] | None,
        command: str,
    ) -> None:
        self._world = world
        self._baton = world.baton
        self._scheduler = scheduler
        self._functions = functions
        self._until = until
        self._check = check
        self._command = command
        self._cause: BaseException | None = None

    def play(self) -> Simulation:
        """Run to the end; SimulationFailed if something does not hold."""
        report = None
        me = self._baton.adopt("main")
        try:
            report = self._run(me)
        except Abandoned:
            pass
        finally:
            self._make_all_leave(me)
            self._baton.disown()
        if self._baton.failure is None:
            assert report is not None
            self._judge(report)
        if self._baton.failure is not None:
            raise SimulationFailed(self._baton.failure, self._world.seed, self._command, self._trace()) from self._cause
        assert report is not None
        return Simulation(
            self._world.seed,
            self._trace(),
            self._hash(),
            self._scheduler.snapshot(),
            report,
            self._baton.steps,
            self._baton.clock.since_start(),
        )

    def _run(self, me: Actor) -> ShutdownReport:
        """The faults, then the calm in which everything has to come to its end."""
        self._scheduler.start()
        run = self._scheduler._run
        assert run is not None
        for number, function in enumerate(self._functions):
            name = getattr(function, "__name__", f"thread-{number}")
            ActorThread(self._baton, self._user_thread, name, (function,)).start()
        run.ended.wait(self._until)
        self._world.calm_down()
        self._baton.allow(self._world.max_steps)
        report = self._scheduler.shutdown(timeout=_FOR_EVER_S)
        me.await_condition(lambda: self._baton.alone, None)
        return report

    def _user_thread(self, function: Callable[[Scheduler], object]) -> None:
        try:
            function(self._scheduler)
        except Abandoned:
            pass
        except EdgeClosed as raised:
            if not self._world.engine.stops and self._scheduler.is_running():
                self._thread_failed(function, raised)
        except BaseException as raised:
            self._thread_failed(function, raised)

    def _thread_failed(self, function: Callable[[Scheduler], object], raised: BaseException) -> None:
        if self._baton.failure is None:
            self._cause = raised
        self._baton.fail(f"{getattr(function, '__name__', function)}() raised {type(raised).__name__}: {raised}")

    def _make_all_leave(self, me: Actor) -> None:
        """Nobody is left behind, whatever has gone wrong."""
        self._world.calm_down()
        if self._baton.alone:
            return
        if self._baton.failure is None:
            self._baton.fail("the simulation was interrupted")
        self._baton.wind_up()
        self._world.engine.end_now()
        try:
            me.await_condition(lambda: self._baton.alone, None)
        except Abandoned:
            _live.discard(self._scheduler)  # somebody did not leave: nobody is to wait for that at exit

    def _judge(self, report: ShutdownReport) -> None:
        """What must hold when all is over."""
        fail = self._baton.fail
        snapshot = self._scheduler.snapshot()
        for node in snapshot.nodes.values():
            arrived = sum(edge.delivered for edge in snapshot.edges.values() if edge.target == node.path)
            became = node.messages + node.in_handler + node.held
            if arrived != became:
                fail(f"node {node.path}: {arrived} messages were delivered to it, and {became} came of them")
        fatal = self._world.engine.failure
        if isinstance(fatal, Exception) and not isinstance(fatal, InjectedError):
            self._cause = fatal
            fail(f"an error stopped the graph: {type(fatal).__name__}: {fatal}")
        elif fatal is not None and not isinstance(fatal, Exception):
            raise fatal  # KeyboardInterrupt and SystemExit of a handler, as they leave run()
        hurried = any(stop != (True, _FOR_EVER_S) for stop in self._world.engine.stops)  # by a thread, or an error
        if not hurried and not report.complete:
            fail(f"without faults the graph did not drain\n{report}")
        if self._check is not None:
            try:
                self._check(self._scheduler)
            except AssertionError as raised:
                self._cause = raised
                fail(f"check: {raised}")
            except Exception as raised:
                self._cause = raised
                fail(f"check raised {type(raised).__name__}: {raised}")

    def _trace(self) -> tuple[TraceEvent, ...]:
        return tuple(TraceEvent(step, ns / 1e9, thread, what) for step, ns, thread, what in self._baton.trace)

    def _hash(self) -> str:
        """Of every step and of what was counted."""
        digest = hashlib.blake2b(repr(self._baton.trace).encode(), digest_size=16)
        for link in self._scheduler._registry.plan.links:
            digest.update(repr((link.edge.id, link.edge.stats())).encode())
        return digest.hexdigest()
