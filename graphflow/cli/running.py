"""Runs a scheduler in the foreground and shows what it does."""

from __future__ import annotations

import logging
import math
import signal
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.logging import RichHandler

from graphflow.base.events import cut, in_a_line, traceback_of
from graphflow.cli.table import LiveTable, plain_line
from graphflow.runtime.signals import HURRY_S, STOP_SIGNALS, stop_signals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from graphflow.runtime.report import ShutdownReport
    from graphflow.runtime.scheduler import Scheduler

INTERRUPTED = 130  # what shells give a process that Ctrl-C has ended


class Watched:
    """A scheduler that is run and shown. The main thread shows; signals ask for the stop."""

    def __init__(self, scheduler: Scheduler, console: Console, refresh_s: float, duration_s: float | None) -> None:
        self._scheduler = scheduler
        self._console = console
        self._refresh_s = refresh_s
        self._duration_s = duration_s
        self._asked = False  # for a stop, by a signal or the duration
        self._interrupted = False
        self._ended = threading.Event()
        self._report: ShutdownReport | None = None
        self._error: BaseException | None = None

    def run(self, table: bool) -> int:
        """Run to the end; returns the exit status: 0 complete, 1 not, 130 after Ctrl-C."""
        with self._signals():
            self._scheduler.start()
            waiting = threading.Thread(target=self._wait, name="graphflow-cli")
            waiting.start()
            try:
                if table:
                    self._show_table()
                else:
                    self._show_lines()
            finally:
                if not self._ended.is_set():
                    self._scheduler.shutdown(drain=False)
                waiting.join()
        return self._outcome()

    def _wait(self) -> None:
        try:
            self._report = self._scheduler.wait()
        except BaseException as error:
            self._error = error
            self._report = self._scheduler.shutdown()
        finally:
            self._ended.set()

    def _show_table(self) -> None:
        with Live(console=self._console, auto_refresh=False) as live:
            before, table = None, LiveTable()
            for _ in self._ticks():
                now = self._scheduler.snapshot()
                live.update(table.draw(now, before, self._console.height), refresh=True)
                before = now

    def _show_lines(self) -> None:
        before = None
        for _ in self._ticks():
            now = self._scheduler.snapshot()
            self._console.print(plain_line(now, before), soft_wrap=True, markup=False, highlight=False)
            before = now

    def _ticks(self) -> Iterator[None]:
        """One now, then one each `refresh_s` and when it is to drain, and a last one when it has ended."""
        drain_at = math.inf if self._duration_s is None else time.monotonic() + self._duration_s
        yield
        while not self._ended.wait(min(self._refresh_s, max(0.0, drain_at - time.monotonic()))):
            yield
            if time.monotonic() >= drain_at:
                drain_at = math.inf
                if not self._asked:
                    self._stop(drain=True)
        yield

    def _stop(self, *, drain: bool) -> None:
        """Ask for the stop, on a thread of its own: the table goes on meanwhile."""
        self._asked = True
        limit = self._scheduler.config.shutdown_timeout_s
        how = {"drain": drain, "timeout": limit if drain else min(limit, HURRY_S)}
        threading.Thread(target=self._scheduler.shutdown, kwargs=how, daemon=True).start()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """The first signal drains, the second stops."""

        def ask(number: int, count: int) -> None:
            self._interrupted |= number == signal.SIGINT
            self._stop(drain=count == 1)  # --duration may have asked for a drain before: that was no signal

        with stop_signals(STOP_SIGNALS, ask):
            yield

    def _outcome(self) -> int:
        if self._error is not None:
            self._console.print(traceback_of(self._error), markup=False, highlight=False, end="")
            where = ", ".join(self._report.errors) if self._report is not None else ""
            what = cut(repr(self._error))
            self._console.print(f"stopped by {what}" + (f" in {where}" if where else ""), markup=False)
        self._console.print(str(self._report), markup=False, highlight=False)
        if self._interrupted:
            return INTERRUPTED
        complete = self._error is None and self._report is not None and self._report.complete
        return 0 if complete else 1


def run_watched(
    make: Callable[[], Scheduler], *, refresh_s: float, duration_s: float | None, table: bool | None
) -> int:
    """Make a scheduler, run it to its end and show it: a live table on a terminal (`table` None: if there is one), else
    a line at each refresh. What is logged is shown from the making on."""
    console = Console()
    table = console.is_terminal if table is None else table
    with _logs_shown(console, table):
        return Watched(make(), console, refresh_s, duration_s).run(table)


class _OneLine(logging.Formatter):
    """A record in a line, with the error that it is about and without its traceback, which would drown the table."""

    def __init__(self) -> None:
        super().__init__("%(message)s")
        self.left_out = 0  # tracebacks and further lines

    def format(self, record: logging.LogRecord) -> str:
        first, *more = record.getMessage().splitlines() or [""]
        error = record.exc_info[1] if record.exc_info else None
        self.left_out += bool(more or error or record.stack_info)
        return first if error is None else f"{first} ({in_a_line(error)})"


@contextmanager
def _logs_shown(console: Console, table: bool) -> Iterator[None]:
    """Log records go to stderr, or a line of each above the table."""
    handler: logging.Handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    short = _OneLine()
    if table:
        handler = RichHandler(console=console, show_path=False)
        handler.setFormatter(short)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        if short.left_out:
            records = f"{short.left_out} log record{'s' if short.left_out > 1 else ''}"
            console.print(f"{records} had more lines, such as tracebacks: --no-table shows them", highlight=False)
