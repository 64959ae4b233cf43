"""The one way from a server's thread into the graph."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from graphflow import EdgeClosed


class Refusal(StrEnum):
    """Why the rest of some lines did not get in."""

    BUSY = "busy"  # the graph had no room in time: send the rest again later
    CLOSING = "closing"  # the service is stopping: send the rest elsewhere


@dataclass(frozen=True, slots=True)
class Entered:
    """The first `accepted` lines are in the graph; the rest is not, for the reason given."""

    accepted: int
    refusal: Refusal | None = None


class LineInput(Protocol):
    """What we need of `scheduler.input("lines")`."""

    def put_many(self, items: Sequence[bytes], timeout: float | None = None) -> int:
        """Put items in order, waiting for room; return how many went in."""
        ...


def enter(lines: Sequence[bytes], target: LineInput, timeout_s: float | None = None) -> Entered:
    """Put `lines` into the graph, in order; wait while it is full, at most `timeout_s`.

    The answer is exact, whatever happens: the sender knows which lines it may forget.
    """
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    accepted = 0
    while accepted < len(lines):
        left_s = None if deadline is None else max(0.0, deadline - time.monotonic())
        try:
            taken = target.put_many(lines[accepted:], left_s)
        except EdgeClosed:
            return Entered(accepted, Refusal.CLOSING)
        except TimeoutError:
            taken = 0
        if not taken:
            return Entered(accepted, Refusal.BUSY)
        accepted += taken
    return Entered(accepted)
