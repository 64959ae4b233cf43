"""Compares figures with their baseline, and says what became of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from suites import Figure, Unusable

if TYPE_CHECKING:
    from collections.abc import Mapping

LIMITS = {"tight": 1.10, "loose": 2.0}  # of now / baseline
OVERHEAD_MOST = 1.10  # of an "overhead", the cost with a feature over that without it, whatever the baseline says
NOISE_MOST = 0.15  # of a figure held to 10 %: a wider spread says nothing there

OK, BETTER, SLOWER, NOISY, SHOWN = "ok", "better", "SLOWER", "NOISY", "shown"


@dataclass(frozen=True)
class Verdict:
    """A figure beside its baseline."""

    name: str
    baseline: float
    now: float
    limit: float | None
    spread: float
    verdict: str

    @property
    def change(self) -> float:
        """How much more it is now, as a share."""
        return self.now / self.baseline - 1 if self.baseline else 0.0

    @property
    def bad(self) -> bool:
        """Does the gate fail by it?"""
        return self.verdict in (SLOWER, NOISY)


def compare(baseline: Mapping[str, Figure], now: Mapping[str, Figure]) -> list[Verdict]:
    """A verdict for each figure of the baseline; Unusable where they do not compare."""
    missing = sorted(set(baseline) - set(now))
    if missing:
        raise Unusable(f"this run has no {', '.join(missing)}: measure again, or refresh the baseline, saying why")
    unknown = sorted(name for name in set(now) - set(baseline) if now[name].hold != "none")
    if unknown:
        raise Unusable(f"the baseline has no {', '.join(unknown)}: refresh it, saying why (make bench-baseline)")
    return [_verdict(figure, now[name]) for name, figure in baseline.items()]


def _verdict(before: Figure, now: Figure) -> Verdict:
    for what, given, wanted in (
        ("Python", now.python, before.python),
        ("build", now.build, before.build),
        ("hold", now.hold, before.hold),
    ):
        if given != wanted:
            raise Unusable(
                f"{now.name}: the {what} of this run is {given!r} and of the baseline {wanted!r}, which do not compare"
            )
    return Verdict(now.name, before.value, now.value, _limit(before, now), now.spread, _judged(before, now))


def _limit(before: Figure, now: Figure) -> float | None:
    """The most that now / baseline may be; None where the figure is only shown."""
    if now.hold == "overhead":
        return OVERHEAD_MOST / before.value if before.value else None
    return LIMITS.get(now.hold)


def _judged(before: Figure, now: Figure) -> str:
    limit = _limit(before, now)
    if limit is None:
        return SHOWN
    change = now.value / before.value if before.value else 1.0
    if change > limit:
        return SLOWER
    if now.hold != "loose" and now.spread > NOISE_MOST:
        return NOISY
    return BETTER if before.value and change < 1 / LIMITS["tight"] else OK
