"""Measuring: latencies and what a process does while it should do nothing, on machines that are busy with other things.

A bound on a latency is made of what the runtime promises, of what the handlers are seen to take, and of what the
machine is seen to add to a plain sleep in the same moments (`Ruler`): the promise is held tightly on an idle machine,
and a busy one is not mistaken for a slow runtime.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

MS = 1e-3

if os.environ.get("GRAPHFLOW_TRACE"):
    SLOWDOWN = 30  # what a coverage tracer makes of a call
elif os.environ.get("GRAPHFLOW_SANITIZE"):
    SLOWDOWN = 15
else:
    SLOWDOWN = 1


def percentile(values: Iterable[float], percent: float) -> float:
    """The smallest of the values that `percent` per cent of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100).__int__() - 1)]


def report_latency(record: Callable[[str, object], None], name: str, seconds: Sequence[float]) -> None:
    """Print how latencies are distributed (pytest -rP shows it), and put it into the JUnit report."""
    figures = {f"p{percent}": percentile(seconds, percent) for percent in (50, 95, 99)} | {"max": max(seconds)}
    print(f"{name}: {len(seconds)} probes, ", ", ".join(f"{key} {value / MS:.3f} ms" for key, value in figures.items()))
    for key, value in figures.items():
        record(f"{name} {key} ms", round(value / MS, 3))


def has_gil() -> bool:
    return getattr(sys, "_is_gil_enabled", lambda: True)()


class Ruler:
    """A thread that sleeps for a millisecond again and again, and notes by how much the machine overdoes it."""

    def __init__(self) -> None:
        self.late: list[float] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._measure)

    def _measure(self) -> None:
        while not self._over.is_set() or not self.late:
            started = time.perf_counter()
            time.sleep(MS)
            self.late.append(time.perf_counter() - started - MS)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def noise(self) -> float:
        """Seconds that only one sleep in a hundred was late by."""
        return percentile(self.late, 99)


def voluntary_switches(threads: Iterable[threading.Thread]) -> int:
    """How often these threads have gone to sleep so far (Linux)."""
    count = 0
    for thread in threads:
        status = Path(f"/proc/self/task/{thread.native_id}/status").read_text()
        count += sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("voluntary_ctxt"))
    return count


def cpu_seconds(threads: Iterable[threading.Thread]) -> float:
    """Processor time of these threads so far, in the kernel and outside (Linux)."""
    count = 0
    for thread in threads:
        fields = Path(f"/proc/self/task/{thread.native_id}/stat").read_text().rpartition(")")[2].split()
        count += int(fields[11]) + int(fields[12])
    return count / os.sysconf("SC_CLK_TCK")
