"""Runs graphs: registers them, starts and stops their run, and answers questions about it."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Iterable, Mapping
from signal import SIGINT, Signals
from types import MappingProxyType
from typing import Any, Self

from graphflow.base.arguments import edge_id_of, seconds
from graphflow.base.errors import SchedulerStateError
from graphflow.base.events import say
from graphflow.base.fork_locks import new_lock
from graphflow.core.edges.edge import Edge
from graphflow.draw.dot import write_dot
from graphflow.draw.mermaid import write_mermaid
from graphflow.graph.node import Node
from graphflow.graph.priority import PriorityBand, band_of
from graphflow.graph.subgraph import Subgraph
from graphflow.runtime.config import SchedulerConfig
from graphflow.runtime.handles import Input, Output
from graphflow.runtime.registry import Registry
from graphflow.runtime.report import ShutdownReport
from graphflow.runtime.run import Run
from graphflow.runtime.signals import HURRY_S, STOP_SIGNALS, Waiting, stop_signals
from graphflow.runtime.take_snapshot import take_snapshot, take_stats
from graphflow.runtime.threads import THREADS, Shell
from graphflow.runtime.tracing import Spans, Tracing
from graphflow.snapshot.flight import FlightRecording
from graphflow.snapshot.picture import live_picture
from graphflow.snapshot.values import Snapshot

log: logging.Logger = logging.getLogger("graphflow.scheduler")

_live: weakref.WeakSet[Scheduler] = weakref.WeakSet()


class Scheduler:
    """Runs registered graphs on worker threads.

        scheduler = Scheduler()
        scheduler.register(graph)
        scheduler.run()                 # until the graph has ended, or Ctrl-C

    or, beside other work, `start()`, `wait()` and `shutdown()`; `with scheduler:` and `async with scheduler:` start on
    entry what is registered by then, and shut down on exit. A stopped scheduler can be started again, with fresh state.
    """

    config: SchedulerConfig
    """Its settings."""

    def __init__(self, config: SchedulerConfig | None = None) -> None:
        if config is not None and not isinstance(config, SchedulerConfig):
            raise TypeError(f"config must be a SchedulerConfig or None, not {config!r}")
        self.config = config or SchedulerConfig()
        # Guards registration, start, and what is changed (so that a change meets a run that begins on one side or the
        # other); never held while waiting for a run. A signal handler may come in over a holder on its own thread.
        self._lock = new_lock(threading.RLock)
        self._registry = Registry()
        self._run: Run | None = None
        self._starting = False  # the next run is not in `_run` yet
        self._latched = False  # shut down before the run
        self._waiting = Waiting()
        self._tracing = Tracing()
        self._shell: Shell = THREADS

    @property
    def name(self) -> str:
        """What logs and metrics call it: `config.name`, else that of the first graph registered."""
        return self.config.name or next((item.name for item in self._registry.items), "graphflow")

    @property
    def items(self) -> list[Subgraph | Node]:
        """What was registered, in that order."""
        return list(self._registry.items)

    # ------------------------------------------------------------------------------------ what runs

    def register(self, item: Node | Subgraph) -> None:
        """Add a graph or a single node to what the next run runs.

        Raises GraphValidationError with everything that is wrong with it (warnings are logged), TypeError for what is
        neither, SchedulerStateError while running.
        """
        if not isinstance(item, (Node, Subgraph)):
            raise TypeError(f"register() takes a Subgraph or a Node, not {item!r}")
        self._refuse_child()
        with self._lock:
            self._refuse_running("register")
            self._registry.add(item, self.config)

    def input(self, name: str) -> Input:
        """The exposed input of that name, for any thread to put into. UnknownEdgeError if there is none."""
        self._refuse_child()
        return Input(name, self._registry.exposed(name, "input"), self._tracing)

    def output(self, name: str) -> Output:
        """The exposed output of that name, for any thread to read. UnknownEdgeError if there is none."""
        self._refuse_child()
        return Output(name, self._registry.exposed(name, "output"))

    # ------------------------------------------------------------------------------------ running

    def start(self) -> None:
        """Start the threads and the nodes; returns after the last `on_start`.

        Raises GraphValidationError, UnknownEdgeError (an earlier set_priority or set_capacity), SchedulerStateError if
        it is running already or a hook of the earlier run has not returned.
        """
        run = self._launch()
        with self._waiting.here():
            run.open()
        self._refuse_child()  # a signal handler may have forked meanwhile

    def _launch(self) -> Run:
        """Start the threads of a new run, whose nodes are not started yet."""
        self._refuse_child()
        with self._lock:
            self._refuse_running("start")
            if self._run is not None and self._run.still_inside():
                raise SchedulerStateError(
                    f"a hook of the earlier run has not returned yet, in {', '.join(self._run.still_inside())}; "
                    f"use another Scheduler"
                )
            run = Run(self._registry.lay_out(self.config), self.config, self.name, self._shell)
            run.engine.set_spans(self._tracing.spans)
            self._registry.prepare(run.engine)
            self._starting = True
            try:
                run.launch()
                self._run = run
            finally:
                self._starting = False
            _live.add(self)
            latched, self._latched = self._latched, False
            if latched:
                run.request_stop("shutdown", drain=False, timeout=self.config.shutdown_timeout_s)
        return run

    def wait(self, timeout: float | None = None) -> ShutdownReport:
        """Wait until the run has ended; returns its report.

        Raises TimeoutError when `timeout` seconds have passed, the error that stopped the graph, SchedulerStateError if
        it was never started or on a worker thread of this scheduler, TypeError, ValueError or OverflowError for a
        timeout that is none.
        """
        if timeout is not None:
            seconds("timeout", timeout)
        self._refuse_child()
        run = self._run
        if run is None:
            raise SchedulerStateError("wait() needs a run: call start() first")
        if run.on_my_thread():
            raise SchedulerStateError("wait() on a thread of the scheduler itself would wait for ever; call shutdown()")
        with self._waiting.here():
            there = run.ended.wait(timeout)
            self._refuse_child()  # a signal handler may have forked meanwhile
            if not there:
                raise TimeoutError(f"the graph has not ended in {timeout} s; it is {run.engine.status}")
        if run.engine.failure is not None:
            raise run.engine.failure
        return run.outcome()

    def run(self, signals: Iterable[int] = STOP_SIGNALS) -> ShutdownReport:
        """Start, wait until the graph has ended, and return the report.

        On the main thread the first of `signals` drains the graph, a second ends the run within a second (the same one
        again within a tenth of a second is no second); after SIGINT it raises KeyboardInterrupt when it has stopped.
        The signals are SIGINT, SIGTERM and, unless something is set for it already, SIGHUP.

        Raises what start() and wait() raise, TypeError or ValueError for signals that are none or that cannot be
        caught.
        """
        with stop_signals(signals, self._on_signal) as caught:
            self._refuse_running("run")
            try:
                with self._waiting.here():
                    self.start()
                report = self._wait_or_stop()
            finally:
                self._latched = False  # a signal that found no run to stop was meant for this one
        if SIGINT in caught:
            raise KeyboardInterrupt
        return report

    def _wait_or_stop(self) -> ShutdownReport:
        """Wait for the run; an exception that ends the waiting (Ctrl-C without our handler) ends the run."""
        try:
            return self.wait()
        except BaseException:
            if self.is_running():
                self.shutdown(drain=False)
            raise

    def _on_signal(self, number: int, count: int) -> None:
        run = self._run
        if run is None or run.ended.is_set():
            self._latched = True  # run() has no run yet: it is to end at once
        else:
            limit = self.config.shutdown_timeout_s if count == 1 else min(self.config.shutdown_timeout_s, HURRY_S)
            run.request_stop(Signals(number).name, drain=count == 1, timeout=limit)

    def shutdown(self, drain: bool = True, timeout: float | None = None) -> ShutdownReport:
        """Stop the run and return its report: with `drain` after everything accepted is handled, else at once.

        `timeout` (seconds; None: config.shutdown_timeout_s) bounds the whole call. May be called twice and from several
        threads: the earlier deadline and drain=False win. From a hook, or from a signal handler over run() or wait(),
        it only asks, and returns a report with complete=False. Before the run it is remembered: the next run ends at
        once. Raises TypeError, ValueError or OverflowError for a wrong argument.
        """
        asked = self._ask_to_stop(drain, timeout)
        if isinstance(asked, ShutdownReport):
            return asked
        with self._waiting.here():
            asked.ended.wait()
        self._refuse_child()
        return asked.outcome()

    async def ashutdown(self, drain: bool = True, timeout: float | None = None) -> ShutdownReport:
        """shutdown() for a coroutine of any event loop, which runs on meanwhile. Raises as that does.

        One that is cancelled leaves the stop under way.
        """
        asked = self._ask_to_stop(drain, timeout)
        if isinstance(asked, ShutdownReport):
            return asked
        await asked.ended.arrival()
        return asked.outcome()

    def _ask_to_stop(self, drain: bool, timeout: float | None) -> Run | ShutdownReport:
        """The run that was asked to stop, to wait for; or a report, where there is none or it cannot be waited for."""
        limit = self.config.shutdown_timeout_s if timeout is None else seconds("timeout", timeout)
        if not isinstance(drain, bool):
            raise TypeError(f"drain must be True or False, not {drain!r}")
        self._refuse_child()
        if self._run is None or self._starting:
            self._latched = True
            if self._run is None or self._starting:  # else it became known between the two looks
                return ShutdownReport(complete=True, timed_out=False, reason="shutdown")
            self._latched = False
        run = self._run
        if not run.ended.is_set():
            run.request_stop("shutdown", drain=drain, timeout=limit)
            if run.on_my_thread() or self._waiting.is_here():
                return ShutdownReport(complete=False, timed_out=False, reason="stopping")
        return run

    def is_running(self) -> bool:
        """True from start() until the run has ended; False in a forked child, which has no part in the run."""
        run = self._run
        return run is not None and not run.ended.is_set() and run.process == os.getpid()

    def _is_childs(self) -> bool:
        """Is this the copy that a forked child has? It leaves a `with` block in silence: the run is its parent's."""
        return self._run is not None and self._run.process != os.getpid()

    def _refuse_child(self) -> None:
        """In a forked child the threads are missing and locks may be held for ever: nothing of the run is touched."""
        if self._is_childs():
            assert self._run is not None
            raise SchedulerStateError(
                f"this scheduler runs in process {self._run.process}, and this is its forked child {os.getpid()}; "
                f"make a new Scheduler with new nodes here"
            )

    def _refuse_running(self, call: str) -> None:
        if self.is_running():
            raise SchedulerStateError(f"{call}() needs a scheduler that is not running: call shutdown() first")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if not self._is_childs():
            self.shutdown(drain=kind is None)

    async def __aenter__(self) -> Self:
        await self._launch().aopen()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if not self._is_childs():
            await self.ashutdown(drain=kind is None)

    def __del__(self, finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        # An object may outlive the names of this module when the interpreter ends (without the GIL most do): what is
        # called then comes along. By that time the exit handler has ended every run of this process.
        if finalizing():
            return
        run = getattr(self, "_run", None)
        if run is not None and not run.ended.is_set() and run.process == os.getpid():
            run.request_stop("dropped", drain=False, timeout=self.config.shutdown_timeout_s)
            warnings.warn(f"{self!r} was dropped while running; call shutdown()", ResourceWarning, stacklevel=1)

    # ------------------------------------------------------------------------------------ changing

    def set_priority(self, edge_id: str, band: PriorityBand) -> None:
        """Move an edge to another band: in a run at once, and for the next ones; before the run the id is checked at
        start.

        Raises UnknownEdgeError, ValueError, TypeError.
        """
        edge_id = edge_id_of(edge_id)
        checked = band_of(band)
        self._refuse_child()
        with self._lock:
            run = self._running()
            if run is not None:
                self._registry.edge(edge_id)
                run.engine.set_band(edge_id, checked)
            self._registry.bands[edge_id] = checked
        if run is not None:
            about = {"graph": self.name, "edge_id": edge_id, "band": checked.name.lower()}
            say(log, "priority_changed", "%s: now %s", edge_id, checked.name, **about)

    def set_capacity(self, edge_id: str, capacity: int) -> None:
        """Change the capacity of an edge: in a run at once, and for the next ones; before the run the id is checked at
        start.

        More room is handed out at once; with less nothing is lost. Raises UnknownEdgeError, ValueError, TypeError.
        """
        edge_id = edge_id_of(edge_id)
        Edge("a", "a", "b", "b", capacity)  # the edge's own check, without an edge to change yet
        self._refuse_child()
        with self._lock:
            run = self._running()
            if run is None:
                self._registry.capacities[edge_id] = capacity
            else:
                self._registry.edge(edge_id).set_capacity(capacity)  # which keeps it
        if run is not None:
            about = {"graph": self.name, "edge_id": edge_id, "capacity": capacity}
            say(log, "capacity_changed", "%s: capacity is now %d", edge_id, capacity, **about)

    def pause(self, node: str | Node | None = None) -> None:
        """Let a node, or without an argument every source, handle no data, ticks or produce. Control still reaches it.

        In a run at once, and for the next ones until it is resumed, which may be before, in or after a run. A drain
        lets paused nodes go on, in that run. Raises GraphValidationError if there is no such node.
        """
        self._set_paused(node, True)

    def resume(self, node: str | Node | None = None) -> None:
        """Let a paused node go on; without an argument, every source.

        Raises GraphValidationError if there is no such node.
        """
        self._set_paused(node, False)

    def _set_paused(self, node: str | Node | None, paused: bool) -> None:
        self._refuse_child()
        with self._lock:
            run = self._running()
            for path in self._registry.paths(node):
                index = self._registry.index(path)
                if run is not None:
                    run.engine.set_paused(index, paused)
                self._registry.keep_paused(path, paused)

    def _running(self) -> Run | None:
        """The run that is under way, if there is one. With the lock held: one that begins has taken the settings."""
        return self._run if self.is_running() else None

    def set_spans(self, spans: Spans | None) -> None:
        """Trace what nodes handle from now on, in this run and later ones, or (None) do not.

        For exporters; see graphflow.observability.instrument. Raises SchedulerStateError if it is traced already.
        """
        if spans is not None and self._tracing.spans is not None:
            raise SchedulerStateError(f"{self.name} is traced already: close() that first")
        self._tracing.spans = spans
        if self._run is not None and self.is_running():
            self._run.engine.set_spans(spans)

    # ------------------------------------------------------------------------------------ asking

    def snapshot(self) -> Snapshot:
        """Everything that is counted, of the scheduler, each node and each edge, at this moment; see `Snapshot`.

        From any thread, before, during and after a run. The counting of each edge holds in it.
        """
        self._refuse_child()
        return take_snapshot(self.name, self._registry.plan, self._run)

    def to_mermaid(self, since: Snapshot | None = None) -> str:
        """A picture of what runs, for Mermaid: depth and capacity of each edge, messages a second (since a snapshot, or
        since the run began), its band, and what is blocked: thick, red and marked BLOCKED."""
        return write_mermaid(live_picture(self.snapshot(), since))

    def to_dot(self, since: Snapshot | None = None) -> str:
        """The same picture in DOT, for Graphviz."""
        return write_dot(live_picture(self.snapshot(), since))

    def flight_recording(self) -> FlightRecording:
        """The latest scheduler events of the latest run (in `config.flight_recorder_bytes`); empty before the first."""
        self._refuse_child()
        run = self._run
        return FlightRecording(self.name, "asked", time.time(), 0, 0, ()) if run is None else run.recording("asked")

    @property
    def kept_recordings(self) -> Mapping[str, FlightRecording]:
        """Of the latest run: the recording taken when an error stopped the graph ("error") and the one taken when
        something was last found to stand still ("stall"), as far as there was such a thing."""
        run = self._run
        return MappingProxyType({} if run is None else run.kept_recordings)

    def get_stats(self) -> dict[str, Any]:
        """A short answer to "how is it": status, nodes_count, edges_count, runnable_nodes, blocked_nodes; per edge (by
        id) depth, peak_depth, capacity, offered, delivered; per node of the latest run (by path) what became of the
        messages delivered to it (handled, failed, dead_lettered, in_handler, held, abandoned) and retries, ticks,
        errors; and what stands still now (`stalls`, see SchedulerConfig.watchdog_s), each with its kind, node, edge_id,
        seconds, the chain of waits that ends there and the Python stack of a hook that does not return."""
        self._refuse_child()
        return take_stats(self._registry.plan, self._run)


def _drain_at_exit() -> None:
    """Running schedulers drain within their timeout when the interpreter exits."""
    running = [scheduler for scheduler in _live if scheduler.is_running()]
    for scheduler in running:
        run = scheduler._run
        if run is not None:
            run.request_stop("exit", drain=True, timeout=scheduler.config.shutdown_timeout_s)
    for scheduler in running:
        scheduler.shutdown()


atexit.register(_drain_at_exit)
