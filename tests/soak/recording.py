"""Samples of a soaked process, as they are taken and as files: a CSV, a plot, memray's capture and its flamegraph."""

from __future__ import annotations

import csv
import ctypes
import dataclasses
import itertools
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from growth import WARM_UP, Sample, rates_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from growth import Trend

_WORDS = ["arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"]


class _MallInfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in _WORDS]


def heap_bytes() -> int:
    """What the C library has given out and not got back, of all its arenas."""
    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = _MallInfo
    info = mallinfo2()
    return int(info.uordblks + info.hblkhd)


def rss_bytes() -> int:
    """Memory that the process holds (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def take_samples(handled: Callable[[], int], seconds: float, every_s: float) -> list[Sample]:
    """Look every `every_s` seconds, for `seconds`."""
    samples = []
    began = time.monotonic()
    for number in itertools.count(1):
        samples.append(
            Sample(
                time.monotonic() - began, handled(), time.process_time(), heap_bytes(), rss_bytes(),
                sys.getallocatedblocks(),
            )
        )  # fmt: skip
        if number * every_s > seconds:
            return samples
        time.sleep(max(0.0, number * every_s - (time.monotonic() - began)))
    raise AssertionError


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
