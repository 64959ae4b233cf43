"""One run of a graph: its threads, and how it is brought to an end."""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Any

from graphflow.core.engine import Engine
from graphflow.core.loop import LoopWorker
from graphflow.core.watch import observe
from graphflow.latch import Latch
from graphflow.logs import safe_log
from graphflow.report import ShutdownReport
from graphflow.watchdog import Watchdog

if TYPE_CHECKING:
    from graphflow.config import SchedulerConfig
    from graphflow.topology import Plan

log = logging.getLogger("graphflow.scheduler")

_tokens = itertools.count(1)

# How long the end of a run waits for the threads of workers that have left their nodes.
_JOIN_S = 1.0


class Run:
    """The threads of one run. Made, started and ended once; a restart makes another.

    Workers run nodes, the keeper watches the clock and clears up when the run is over. All are daemons, so that a
    handler that never returns cannot keep the process alive.
    """

    def __init__(self, plan: Plan, config: SchedulerConfig, name: str) -> None:
        self.plan = plan
        self.engine = Engine(plan, config, next(_tokens), name)
        self.ended = Latch()
        self.report: ShutdownReport | None = None
        self.reason: str | None = None  # of a stop that was asked for
        self.process = os.getpid()  # a forked child has the object but not the threads
        self.name = name
        self._began = time.monotonic()
        self._lasted_s: float | None = None  # set when it has ended
        self._timeout_s = config.shutdown_timeout_s
        self._workers = config.workers
        self._watchdog = None if config.watchdog_s is None else Watchdog(config.watchdog_s)
        self._threads: list[threading.Thread] = []
        self._loop: LoopWorker | None = None
        self._keeper = self._thread(self._keep, "keeper")

    def _thread(self, target: object, role: str, *args: object) -> threading.Thread:
        return threading.Thread(
            target=target,  # type: ignore[arg-type]
            args=args,
            name=f"graphflow-{role}",
            daemon=True,
        )

    def launch(self) -> None:
        """Tie the nodes to this run and start the threads. If that cannot be done, nothing has happened."""
        self.engine.claim()
        started: list[threading.Thread] = []
        try:
            self._threads = self._make_threads()
            for thread in [*self._threads, self._keeper]:
                thread.start()
                started.append(thread)
        except BaseException:
            self.engine.request_stop(False, 0.0)
            self.engine.begin()  # asked to stop before it began: every thread leaves
            for thread in started:
                thread.join()
            if self._loop is not None:
                self._loop.close()
            self.engine.disclaim()
            raise

    def _make_threads(self) -> list[threading.Thread]:
        """One for each worker and dedicated node, and one for the event loop if a node needs it."""
        engine = self.engine
        threads = [self._thread(engine.work, f"worker-{number}", 0) for number in range(self._workers)]
        dedicated = [crew for crew in range(1, engine.crews) if crew != engine.loop_crew]
        threads += [self._thread(engine.work, f"dedicated-{crew}", crew) for crew in dedicated]
        if engine.loop_crew:
            self._loop = LoopWorker(engine, engine.loop_crew)
            threads.append(self._thread(self._loop.work, "loop"))
        return threads

    def open(self) -> None:
        """Join the edges and start the nodes; returns after the last on_start."""
        self._begin()
        try:
            self.engine.opened.wait()
        except BaseException:  # Ctrl-C while a node starts
            self.request_stop("interrupted", drain=False, timeout=self._timeout_s)
            raise

    async def aopen(self) -> None:
        """The same for a coroutine. One that is cancelled while a node starts leaves when the run has ended again."""
        self._begin()
        try:
            await self.engine.opened.arrival()
        except BaseException:
            self.request_stop("interrupted", drain=False, timeout=self._timeout_s)
            await self.ended.arrival()
            raise

    def _begin(self) -> None:
        self.engine.attach()
        self.engine.begin()
        safe_log(log, logging.INFO, "run started", extra={"event": "run_started", "graph": self.name})

    def request_stop(self, reason: str, *, drain: bool, timeout: float | None) -> None:
        """Ask for a stop and return at once; takes no lock that a signal handler could find held."""
        if self.reason is None:
            self.reason = reason
        self.engine.request_stop(drain, timeout)

    def _keep(self) -> None:
        while (errand := self.engine.keep()) != "leave":
            if errand == "look":
                self._look()
            else:
                self._add_worker()
        self._look()  # what has moved since the last look has cleared
        self._conclude()

    def _look(self) -> None:
        """Let the watchdog look; an error in it is logged and stops nobody."""
        try:
            if self._watchdog is not None:
                self._watchdog.look(self.engine.now(), observe(self.engine))
        except Exception:
            safe_log(
                log, logging.ERROR, "the watchdog could not look", exc_info=True, extra={"event": "watchdog_error"}
            )

    @property
    def status(self) -> str:
        """starting, running, draining, stopping or stopped."""
        return "stopped" if self.ended.is_set() else self.engine.status

    def lasted_s(self) -> float:
        """Seconds since the run began, until it ended."""
        return time.monotonic() - self._began if self._lasted_s is None else self._lasted_s

    def stalls(self) -> list[dict[str, Any]]:
        """What stands still now."""
        return [] if self._watchdog is None or self.ended.is_set() else self._watchdog.stalls(self.engine.now())

    def _add_worker(self) -> None:
        """Every worker is inside a node that does not return, and another node waits for its on_stop."""
        thread = self._thread(self.engine.work, "worker-extra", 0)
        try:
            thread.start()
        except RuntimeError:
            safe_log(log, logging.WARNING, "no thread could be started for the remaining stop hooks", exc_info=True)
        else:
            self._threads.append(thread)

    def _conclude(self) -> None:
        abandoned = self.engine.left_inside()
        undelivered: dict[str, int] = {}
        try:
            undelivered = self.engine.conclude()
            until = time.monotonic() + (0 if abandoned else _JOIN_S)
            for thread in self._threads:
                thread.join(max(0.0, until - time.monotonic()))
        finally:  # whatever happens, nobody waits for ever
            self.report = self._make_report(undelivered, abandoned)
            self._lasted_s = time.monotonic() - self._began
            self.ended.set()
            safe_log(log, logging.INFO, "run ended: %s", self.report, extra={"event": "run_ended", "graph": self.name})

    def _make_report(self, undelivered: dict[str, int], abandoned: tuple[str, ...]) -> ShutdownReport:
        engine = self.engine
        cells = engine.cells
        reason = "error" if engine.failure is not None else self.reason or "completed"
        return ShutdownReport(
            complete=not (undelivered or abandoned or engine.timed_out) and not any(cell.abandoned for cell in cells),
            timed_out=engine.timed_out,
            reason=reason,
            undelivered=undelivered,
            errors={cell.path: tuple(cell.errors) for cell in cells if cell.errors},
            error_counts={cell.path: cell.error_count for cell in cells if cell.error_count},
            failed_sources=tuple(cell.path for cell in cells if cell.source_failed),
            abandoned=abandoned,
        )

    def outcome(self) -> ShutdownReport:
        """The report of a run that has ended."""
        assert self.report is not None
        return self.report

    def still_inside(self) -> tuple[str, ...]:
        """Nodes of an ended run whose hook has still not returned."""
        return self.engine.inside() if self.ended.is_set() else ()
