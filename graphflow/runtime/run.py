"""One run of a graph: its threads, and how it is brought to an end."""

from __future__ import annotations

import itertools
import logging
import os
import re
import threading
import time
from collections import deque
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphflow.base.events import say
from graphflow.core.edges.forked import leave_process
from graphflow.core.engine.loop_worker import LoopWorker
from graphflow.core.engine.orphan import orphan
from graphflow.core.introspect.snapshot import note_stall, survey_flight
from graphflow.core.introspect.stalls import observe
from graphflow.core.sync.latch import Latch
from graphflow.runtime.report import ShutdownReport
from graphflow.runtime.watchdog import Watchdog
from graphflow.snapshot.flight import FlightDepth, FlightEvent, FlightRecording

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphflow.core.engine.engine import Engine
    from graphflow.graph.plan import Plan
    from graphflow.runtime.config import SchedulerConfig
    from graphflow.runtime.threads import Shell

log: logging.Logger = logging.getLogger("graphflow.scheduler")

_tokens = itertools.count(1)

# How long the end of a run waits for the threads of workers that have left their nodes.
_JOIN_S = 1.0

# The runs of this process that have not ended.
_going: set[Run] = set()
# Looks of the watchdog whose depths a recording has: four are the time after which it speaks.
_LOOKS_KEPT = 16

# Recordings that a run writes into `flight_folder` at most.
_FLIGHTS_WRITTEN = 16


class Run:
    """The threads of one run. Made, started and ended once; a restart makes another.

    Workers run nodes, the keeper watches the clock and clears up when the run is over. All are daemons, so that a
    handler that never returns cannot keep the process alive.
    """

    def __init__(self, plan: Plan, config: SchedulerConfig, name: str, shell: Shell) -> None:
        self.plan = plan
        self._shell = shell
        self.engine: Engine = shell.engine(plan, config, next(_tokens), name)
        self.ended: Latch = Latch()
        self.report: ShutdownReport | None = None
        self.reason: str | None = None  # of a stop that was asked for
        self.process: int = os.getpid()  # a forked child has the object but not the threads
        self.name = name
        self._began = self.engine.now()
        self._lasted_s: float | None = None  # set when it has ended
        self._timeout_s = config.shutdown_timeout_s
        self._workers = config.workers
        self._watchdog = None if config.watchdog_s is None else Watchdog(config.watchdog_s, name)
        self.kept_recordings: dict[str, FlightRecording] = {}  # the latest of each reason
        self._depths: deque[list[FlightDepth]] = deque(maxlen=_LOOKS_KEPT)  # written by the keeper, as it looks
        self._flight_folder = config.flight_folder
        self._flights_written = 0
        self.roles: list[str] = []  # what each worker is, for the flight recorder
        self._threads: list[threading.Thread] = []
        self._loop: LoopWorker | None = None
        self._loop_thread: threading.Thread | None = None
        self._drains = False  # it has begun to
        self._keeper = self._thread(self._keep, "keeper")

    def _thread(self, target: Callable[..., object], role: str, *args: object) -> threading.Thread:
        return self._shell.thread(target, role, args)

    def launch(self) -> None:
        """Tie the nodes to this run and start the threads. If that cannot be done, nothing has happened."""
        self.engine.claim()
        started: list[threading.Thread] = []
        _going.add(self)
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
            _going.discard(self)
            raise

    def _make_threads(self) -> list[threading.Thread]:
        """One for each worker and dedicated node, and one for the event loop if a node needs it."""
        engine = self.engine
        threads = [self._worker(f"worker-{number}", 0) for number in range(self._workers)]
        dedicated = [crew for crew in range(1, engine.crews) if crew != engine.loop_crew]
        threads += [self._worker(f"dedicated-{crew}", crew) for crew in dedicated]
        if engine.loop_crew:
            self._loop = LoopWorker(engine, engine.loop_crew, len(self.roles))
            self.roles.append("loop")
            self._loop_thread = self._thread(self._loop.work, "loop")
            threads.append(self._loop_thread)
        return threads

    def _worker(self, role: str, crew: int) -> threading.Thread:
        """A thread that runs nodes of a crew. Its place among `roles` is its row in the flight recorder."""
        self.roles.append(role)
        return self._thread(self.engine.work, role, crew, len(self.roles) - 1)

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
        say(log, "run_started", "%s: run started", self.name, graph=self.name)  # before the threads have more to say
        self.engine.begin()

    def request_stop(self, reason: str, *, drain: bool, timeout: float | None) -> None:
        """Ask for a stop and return at once; takes no lock that a signal handler could find held."""
        if self.reason is None:
            self.reason = reason
        self.engine.request_stop(drain, timeout)

    def _keep(self) -> None:
        while (errand := self._errand()) != "leave":
            if errand == "look":
                self._look()
            elif errand == "tell":
                self._tell_phases()
            else:
                self._add_worker()
        self._tell_phases()
        self._look()  # what has moved since the last look has cleared
        self._conclude()

    def _errand(self) -> str:
        """What there is for the keeper to do."""
        errand = self.engine.keep()
        self._leave_child()
        return errand

    def _leave_child(self) -> None:
        """End a child that was forked on the keeper's thread, which log handlers run on too."""
        if self.process != os.getpid():
            leave_process()

    def orphan(self) -> None:
        """In a forked child: nothing of the run goes on here, whatever its threads were at in the parent."""
        orphan(self.engine)
        if self._loop is not None:
            self._loop.orphan()
        self.engine.opened.rouse()
        self.ended.rouse()

    def _tell_phases(self) -> None:
        """Log the phases that have begun since the last time."""
        for phase in self.engine.new_phases():
            say(log, f"run_{phase}", "%s: run is %s (%s)", self.name, phase, self._reason(), graph=self.name)
            self._leave_child()
            self._drains |= phase == "draining"

    def _reason(self) -> str:
        return "error" if self.engine.failure is not None else self.reason or "completed"

    def _look(self) -> None:
        """Let the watchdog look; an error in it is logged and stops nobody."""
        try:
            if self._watchdog is not None:
                self._depths.append(self._depths_now(every=False))
                found = self._watchdog.look(self.engine.now(), observe(self.engine))
                for node in found:
                    note_stall(self.engine, -1 if node is None else self._place(node))
                if found:
                    self._keep_recording("stall")
        except Exception:
            say(log, "watchdog_error", "the watchdog could not look", exc_info=True, graph=self.name)

    @property
    def status(self) -> str:
        """starting, running, draining, stopping or stopped."""
        return "stopped" if self.ended.is_set() else self.engine.status

    def workers(self) -> int:
        """Threads that run nodes now."""
        return sum(thread.is_alive() for thread in self._threads)

    def lasted_s(self) -> float:
        """Seconds since the run began, until it ended."""
        return self.engine.now() - self._began if self._lasted_s is None else self._lasted_s

    def stalls(self) -> list[dict[str, Any]]:
        """What stands still now."""
        return [] if self._watchdog is None or self.ended.is_set() else self._watchdog.stalls(self.engine.now())

    def _place(self, path: str) -> int:
        return next(index for index, placed in enumerate(self.plan.nodes) if placed.path == path)

    def recording(self, reason: str) -> FlightRecording:
        """What the flight recorder holds."""
        seen, overwritten, left_out = survey_flight(self.engine)
        depths = (*itertools.chain(*list(self._depths)), *self._depths_now(every=True))
        paths = [placed.path for placed in self.plan.nodes]
        events = [
            FlightEvent(
                at_s, kind, None if worker < 0 else self.roles[worker], None if node < 0 else paths[node], detail
            )
            for at_s, kind, worker, node, detail in sorted(seen, key=itemgetter(0))
        ]
        return FlightRecording(self.name, reason, time.time(), overwritten, left_out, tuple(events), depths)

    def _depths_now(self, every: bool) -> list[FlightDepth]:
        """Of each edge, or of those that hold something or did at the last look."""
        now = self.engine.now()
        held = {seen.edge for seen in self._depths[-1] if seen.depth} if self._depths and not every else set()
        depths = [FlightDepth(now, link.edge.id, link.edge.depth()) for link in self.plan.links]
        return [seen for seen in depths if every or seen.depth or seen.edge in held]

    def _keep_recording(self, reason: str) -> None:
        """Something happened that somebody will want to look into."""
        recording = self.kept_recordings[reason] = self.recording(reason)
        if self._flight_folder is None or self._flights_written >= _FLIGHTS_WRITTEN:
            return
        self._flights_written += 1
        try:
            path, _ = recording.write(self._flight_folder, self._unused_name(Path(self._flight_folder), reason))
        except OSError as error:
            about = {"graph": self.name, "reason": reason}
            say(log, "flight_not_recorded", "the flight recording cannot be written: %s", error, **about)
        else:
            say(log, "flight_recorded", "flight recording in %s", path, graph=self.name, reason=reason)

    def _unused_name(self, folder: Path, reason: str) -> str:
        """A file name for a recording that no earlier run has taken."""
        stem = re.sub(r"[^\w.-]", "_", f"{self.name}-{reason}")
        number = 1
        while (folder / f"{stem}-{number}.json").exists():
            number += 1
        return f"{stem}-{number}"

    def _add_worker(self) -> None:
        """Every worker is inside a node that does not return, and another node waits for its on_stop."""
        thread = self._worker("worker-extra", 0)
        try:
            thread.start()
        except RuntimeError:
            why = "no thread could be started for the remaining stop hooks"
            say(log, "no_thread", why, exc_info=True, graph=self.name)
        else:
            self._threads.append(thread)

    def _conclude(self) -> None:
        abandoned = self.engine.left_inside()
        undelivered: dict[str, int] = {}
        try:
            if self.engine.failure is not None:
                self._keep_recording("error")
            undelivered = self.engine.conclude()
            self._join(abandoned)
        finally:  # whatever happens, nobody waits for ever
            self.report = self._make_report(undelivered, abandoned)
            self._lasted_s = self.engine.now() - self._began
            fields = {"graph": self.name, "reason": self.report.reason, "complete": self.report.complete}
            try:
                say(log, "run_ended", "%s: run ended: %s", self.name, self.report, **fields)
            finally:
                self.ended.set()  # after it: who has waited finds the record
                _going.discard(self)

    def _join(self, abandoned: tuple[str, ...]) -> None:
        """Wait for the threads, where a hook is not known to hang. The event loop's awaits what tasks do when they are
        cancelled; it keeps to the deadline by itself."""
        if self._loop_thread is not None and not (abandoned and not self._refusing()):
            self._shell.join([self._loop_thread], self.engine.seconds_left() + _JOIN_S / 4)
        self._shell.join(self._threads, 0 if abandoned else _JOIN_S)

    def _refusing(self) -> tuple[str, ...]:
        return () if self._loop is None else self._loop.refusing()

    def _make_report(self, undelivered: dict[str, int], abandoned: tuple[str, ...]) -> ShutdownReport:
        engine = self.engine
        cells = engine.cells
        cut = engine.undrained and (self._drains or engine.asked_to_drain)
        tasks = self._refusing()
        held_back = _by_path({cell.path: cell.held_back() for cell in cells})
        backing_off = _by_path({cell.path: cell.never_retried() for cell in cells})
        left = undelivered or abandoned or tasks or cut or engine.timed_out or held_back or backing_off
        return ShutdownReport(
            complete=not left and not any(cell.abandoned for cell in cells),
            timed_out=engine.timed_out,
            reason=self._reason(),
            undelivered=undelivered,
            errors={cell.path: tuple(cell.errors) for cell in cells if cell.errors},
            error_counts={cell.path: cell.error_count for cell in cells if cell.error_count},
            failed_sources=tuple(cell.path for cell in cells if cell.source_failed),
            abandoned=abandoned,
            abandoned_tasks=tasks,
            held_back=held_back,
            backing_off=backing_off,
        )

    def outcome(self) -> ShutdownReport:
        """The report of a run that has ended."""
        assert self.report is not None
        return self.report

    def on_my_thread(self) -> bool:
        """Is this a thread of the run itself, which would wait for ever? Log handlers run on the keeper's too."""
        return self.engine.on_my_thread() or threading.get_ident() == self._keeper.ident

    def still_inside(self) -> tuple[str, ...]:
        """Nodes of an ended run whose hook has still not returned."""
        return self.engine.inside() if self.ended.is_set() else ()


def _orphan_all() -> None:
    for run in list(_going):
        run.orphan()
    _going.clear()


os.register_at_fork(after_in_child=_orphan_all)


def _by_path(counts: dict[str, int]) -> dict[str, int]:
    """The counts without the zeros."""
    return {path: count for path, count in counts.items() if count}
