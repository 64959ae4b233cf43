"""A distribution: a histogram of durations as a value."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Distribution:
    """A histogram of durations: log-linear buckets, 16 for each doubling, so a quantile is off by 3.2 % at most.

    About one event in 64 is timed; `count` is how many were.
    """

    count: int
    """Events that were timed."""
    sum: float
    """Seconds, of all that were timed."""
    min: float
    """The shortest; 0.0 while nothing was timed."""
    max: float
    """The longest."""
    buckets: tuple[tuple[float, float, int], ...]
    """`(lower, upper, count)` of the buckets that are not empty, in order: `count` events took from `lower` seconds to
    less than `upper`."""

    @property
    def mean(self) -> float:
        """Seconds on average; 0.0 while nothing was timed."""
        return self.sum / self.count if self.count else 0.0

    def quantile(self, q: float) -> float:
        """Seconds that the share `q` (0 to 1) of the events took at most; 0.0 while nothing was timed.

        Raises ValueError for a share that is none.
        """
        if not 0 <= q <= 1:
            raise ValueError(f"q must be from 0 to 1, not {q!r}")
        rank = max(1, math.ceil(q * self.count))
        below = 0
        for lower, upper, count in self.buckets:
            below += count
            if below >= rank:
                return min(max((lower + upper) / 2, self.min), self.max)
        return self.max

    def cumulative(self, uppers: tuple[float, ...]) -> list[int]:
        """How many events took less than each of `uppers` seconds; exact where these are powers of two in
        nanoseconds."""
        slack = 1 + 1e-9  # of floating point
        return [sum(count for _, edge, count in self.buckets if edge <= upper * slack) for upper in uppers]

    def to_dict(self) -> dict[str, Any]:
        """The numbers that a person asks for."""
        return {
            "count": self.count,
            "sum": self.sum,
            "min": self.min,
            "mean": self.mean,
            "p50": self.quantile(0.5),
            "p90": self.quantile(0.9),
            "p99": self.quantile(0.99),
            "p999": self.quantile(0.999),
            "max": self.max,
        }
