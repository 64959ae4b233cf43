"""Samples of a soaked process, as they are taken and as files: a CSV, a plot, memray's capture and its flamegraph."""

from __future__ import annotations

import csv
import ctypes
import dataclasses
import gc
import os
import subprocess
import sys
import time
from array import array
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from growth import WARM_UP, Sample, rates_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from growth import Trend

_WORDS = ["arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"]


class _MallInfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in _WORDS]


class Recorder:
    """Takes samples and leaves no trace in them: all that it needs is there before the first.

    The figures go into arrays made beforehand; a list of samples would grow by some ten blocks of Python objects each
    time, which is what a slow leak looks like. The C function is looked up once (each look-up makes a class), and so is
    the file of the kernel, which is read anew through one descriptor. Each look comes after a collection: cycles that
    wait for one, and the free lists that it empties, rise and fall by more than a thousand blocks and are no leak.
    """

    COLUMNS = "dqdqqq"  # as the fields of a Sample

    def __init__(self, handled: Callable[[], int], room: int) -> None:
        self._handled = handled
        self._columns: list[array[Any]] = [array(kind, bytes(8 * room)) for kind in self.COLUMNS]
        self._count = 0
        self._mallinfo2 = ctypes.CDLL(None).mallinfo2
        self._mallinfo2.restype = _MallInfo
        self._page = os.sysconf("SC_PAGE_SIZE")

    def record(self, seconds: float, every_s: float) -> list[Sample]:
        """Look every `every_s` seconds, for `seconds`."""
        statm = os.open("/proc/self/statm", os.O_RDONLY)
        try:
            began = time.monotonic()
            while True:
                self._look(began, statm)
                if self._count * every_s > seconds:
                    return [Sample(*row) for row in zip(*(each[: self._count] for each in self._columns), strict=True)]
                time.sleep(max(0.0, self._count * every_s - (time.monotonic() - began)))
        finally:
            os.close(statm)

    def _look(self, began: float, statm: int) -> None:
        gc.collect()
        place = self._count
        at_s, handled, cpu_s, heap, rss, blocks = self._columns
        at_s[place] = time.monotonic() - began
        handled[place] = self._handled()
        cpu_s[place] = time.process_time()
        info = self._mallinfo2()
        heap[place] = info.uordblks + info.hblkhd  # what the C library has given out and not got back
        rss[place] = int(os.pread(statm, 200, 0).split()[1]) * self._page
        blocks[place] = sys.getallocatedblocks()
        self._count = place + 1


def take_samples(handled: Callable[[], int], seconds: float, every_s: float) -> list[Sample]:
    """Look every `every_s` seconds, for `seconds` (Linux)."""
    return Recorder(handled, int(seconds / every_s) + 2).record(seconds, every_s)


@contextmanager
def captured(path: Path) -> Iterator[None]:
    """Capture every allocation of the block with memray, aggregated by stack, C++ frames included."""
    import memray  # pyright: ignore[reportMissingImports]

    path.unlink(missing_ok=True)
    destination = memray.FileDestination(path, overwrite=True)
    aggregated = memray.FileFormat.AGGREGATED_ALLOCATIONS
    with memray.Tracker(destination=destination, file_format=aggregated, native_traces=True):
        yield


def write_flamegraph(capture: Path) -> Path:
    """What was allocated and not freed by the end, as an HTML page."""
    page = capture.with_suffix(".html")
    command = [sys.executable, "-m", "memray", "flamegraph", "--leaks", "--force", "-o", str(page), str(capture)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return page


def write_csv(samples: Sequence[Sample], path: Path) -> None:
    with path.open("w", newline="") as file:
        rows = csv.DictWriter(file, [field.name for field in dataclasses.fields(Sample)])
        rows.writeheader()
        rows.writerows(dataclasses.asdict(sample) for sample in samples)


def write_plot(samples: Sequence[Sample], trends: dict[str, Trend], path: Path) -> None:
    """The four series over time, the warm-up shaded, each with its verdict."""
    import matplotlib as mpl  # pyright: ignore[reportMissingImports]

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # pyright: ignore[reportMissingImports]

    times = [sample.at_s / 60 for sample in samples]
    shown = {
        "heap": ("live heap, MiB", [sample.heap / 2**20 for sample in samples]),
        "rss": ("resident memory, MiB", [sample.rss / 2**20 for sample in samples]),
        "blocks": ("Python blocks, thousands", [sample.blocks / 1000 for sample in samples]),
        "rate": ("messages per CPU second, thousands", [rate / 1000 for rate in [*rates_of(samples)]]),
    }
    figure, axes = plt.subplots(len(shown), 1, sharex=True, figsize=(10, 11), layout="constrained")
    for axis, (name, (label, values)) in zip(axes, shown.items(), strict=True):
        axis.plot(times[-len(values) :], values, linewidth=1)
        axis.axvspan(times[0], times[-1] * WARM_UP, color="0.92")
        broken = trends[name].broken
        axis.set_title(str(trends[name]), fontsize=9, loc="left", color="tab:red" if broken else "black")
        axis.set_ylabel(label, fontsize=9)
        axis.margins(x=0)
        low, high = min(values), max(values)
        axis.set_ylim(low - 0.2 * (high - low) - 0.02 * abs(high), high + 0.2 * (high - low) + 0.02 * abs(high))
    axes[-1].set_xlabel("minutes (shaded: warm-up, not judged)")
    figure.savefig(path, dpi=110)
    plt.close(figure)
