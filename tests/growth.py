"""Does a long run grow or slow down? The judgement of a soak, on its samples alone.

After a warm-up the run is cut into windows, and each window is its median: garbage collections, bursts and a busy
machine move single samples, hardly medians. The trend through the windows is the median of the slopes of all pairs
(Theil and Sen), which a few odd windows do not move either. It counts if over the whole run it amounts to more than the
level allows and more than the scatter around it.
"""

from __future__ import annotations

import itertools
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

WARM_UP = 0.25  # of the run: caches fill, allocators settle
WINDOWS = 30
SCATTERS = 5.0  # a trend that is less than so many times the scatter is none


@dataclass(frozen=True)
class Limit:
    """What a series may change by, from the first window to the last."""

    name: str
    share: float
    """Of its level."""
    least: float
    """In its own unit, whatever the level."""
    direction: int
    """1: it may not grow, -1: it may not shrink."""


@dataclass(frozen=True)
class Sample:
    """A look at the process."""

    at_s: float
    handled: int
    """Messages so far."""
    cpu_s: float
    """Processor time of the process so far."""
    heap: int
    """Bytes that the C library has given out: what C++ and large Python objects live in."""
    rss: int
    """Bytes of memory that the process holds."""
    blocks: int
    """Python objects' blocks (sys.getallocatedblocks)."""


# Of memory no share of the level is allowed: how much a process holds says nothing about how much it may leak. What is
# allowed is what the windows of a run without a leak were seen to differ by, several times.
LIMITS = {
    "heap": Limit("live heap, bytes", 0.0, 64 * 1024, 1),
    "rss": Limit("resident memory, bytes", 0.0, 1024 * 1024, 1),
    "blocks": Limit("blocks of Python objects", 0.0, 250, 1),
    "rate": Limit("messages per processor second", 0.2, 0.0, -1),
}


@dataclass(frozen=True)
class Trend:
    """A series' windows and what they say."""

    limit: Limit
    windows: tuple[float, ...]
    change: float
    """From the first window to the last, along the trend."""
    scatter: float
    """Of the windows around the trend: the median distance."""

    @property
    def level(self) -> float:
        return statistics.median(self.windows)

    @property
    def allowed(self) -> float:
        return max(self.limit.least, self.limit.share * abs(self.level), SCATTERS * self.scatter)

    @property
    def broken(self) -> bool:
        return self.limit.direction * self.change > self.allowed

    def __str__(self) -> str:
        verdict = "FAILS" if self.broken else "holds"
        return (
            f"{self.limit.name}: {verdict}: about {self.level:,.0f}, changes by {self.change:+,.0f}, "
            f"allowed {self.allowed:,.0f} (scatter {self.scatter:,.0f})"
        )


def trend_of(limit: Limit, values: Sequence[float]) -> Trend:
    """The trend of a series of equally spaced values, after its warm-up. ValueError if there are too few."""
    kept = values[int(len(values) * WARM_UP) :]
    if len(kept) < 2 * WINDOWS:
        raise ValueError(f"{limit.name}: {len(values)} samples are too few for a trend: {3 * WINDOWS} are needed")
    bounds = [round(len(kept) * place / WINDOWS) for place in range(WINDOWS + 1)]
    windows = [statistics.median(kept[low:high]) for low, high in itertools.pairwise(bounds)]
    pairs = itertools.combinations(enumerate(windows), 2)
    slope = statistics.median((b - a) / (j - i) for (i, a), (j, b) in pairs)
    middle = statistics.median(value - slope * place for place, value in enumerate(windows))
    scatter = statistics.median(abs(value - slope * place - middle) for place, value in enumerate(windows))
    return Trend(limit, tuple(windows), slope * (WINDOWS - 1), scatter)


def rates_of(samples: Sequence[Sample]) -> list[float]:
    """Messages per processor second between one sample and the next: other processes do not change it much."""
    return [
        (later.handled - earlier.handled) / max(later.cpu_s - earlier.cpu_s, 1e-9)
        for earlier, later in itertools.pairwise(samples)
    ]


def trends_of(samples: Sequence[Sample]) -> dict[str, Trend]:
    """The trends of everything that is limited."""
    series: dict[str, Sequence[float]] = {
        name: [getattr(each, name) for each in samples] for name in LIMITS if name != "rate"
    }
    series["rate"] = rates_of(samples)
    return {name: trend_of(LIMITS[name], values) for name, values in series.items()}
