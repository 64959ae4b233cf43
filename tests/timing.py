"""Measuring: latencies and what a process does while it should do nothing, on machines that are busy with other things.

A bound on a latency is made of what the runtime promises, of what the handlers are seen to take, and of what the
machine is seen to add to a plain sleep in the same moments (`Ruler`): the promise is held tightly on an idle machine,
and a busy one is not mistaken for a slow runtime.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Sequence

MS = 1e-3

if os.environ.get("GRAPHFLOW_TRACE"):
    SLOWDOWN = 30  # what a coverage tracer makes of a call
elif os.environ.get("GRAPHFLOW_SANITIZE"):
    SLOWDOWN = 15
else:
    SLOWDOWN = 1
PATIENCE = 1 if SLOWDOWN == 1 else 8  # by what a deadline that no run should meet is put off


def percentile(values: Iterable[float], percent: float) -> float:
    """The smallest of the values that `percent` per cent of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def report_latency(record: Callable[[str, object], None], name: str, seconds: Sequence[float]) -> None:
    """Print how latencies are distributed (pytest -rP shows it), and put it into the JUnit report."""
    figures = {f"p{percent}": percentile(seconds, percent) for percent in (50, 95, 99)} | {"max": max(seconds)}
    print(f"{name}: {len(seconds)} probes, ", ", ".join(f"{key} {value / MS:.3f} ms" for key, value in figures.items()))
    for key, value in figures.items():
        record(f"{name} {key} ms", round(value / MS, 3))


def has_gil() -> bool:
    return getattr(sys, "_is_gil_enabled", lambda: True)()


_SLEEPS = """
import sys, threading, time
late, over = [], threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
print("ready", flush=True)
while not over.is_set() or not late:
    started = time.perf_counter()
    time.sleep(0.001)
    late.append(time.perf_counter() - started - 0.001)
print(*late)
"""


class Ruler:
    """A process that sleeps for a millisecond again and again, and notes by how much the machine overdoes it.

    A process of its own, so that this one's interpreter lock has no part in it.
    """

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-c", _SLEEPS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *failure: object) -> None:
        answer, _ = self._process.communicate(timeout=30)
        self.noise = percentile([float(word) for word in answer.split()], 99)
        """Seconds that only one sleep in a hundred was late by."""


def voluntary_switches(threads: Iterable[threading.Thread]) -> int:
    """How often these threads have gone to sleep so far (Linux)."""
    count = 0
    for thread in threads:
        status = Path(f"/proc/self/task/{thread.native_id}/status").read_text()
        count += sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("voluntary_ctxt"))
    return count


def is_sleeping(thread: threading.Thread) -> bool:
    """Does the thread wait for something now (Linux)? One that polls does too, most of the time."""
    return Path(f"/proc/self/task/{thread.native_id}/stat").read_text().rpartition(")")[2].split()[0] == "S"


def cpu_seconds(threads: Iterable[threading.Thread]) -> float:
    """Processor time of these threads so far, in the kernel and outside (Linux)."""
    count = 0
    for thread in threads:
        fields = Path(f"/proc/self/task/{thread.native_id}/stat").read_text().rpartition(")")[2].split()
        count += int(fields[11]) + int(fields[12])
    return count / os.sysconf("SC_CLK_TCK")
