"""The same small graph on each peer: a source of integers, two maps (add one, double), a sink that sums.

Each module has PACKAGE (whose version is shown, "" for the standard library), MESSAGES (how many suit its speed) and
run(count), which returns the seconds and the sum. Where a queue has a capacity it is CAPACITY.
"""

from __future__ import annotations

CAPACITY = 1024


def increment(number: int) -> int:
    """The first map."""
    return number + 1


def double(number: int) -> int:
    """The second."""
    return number * 2


def expected(count: int) -> int:
    """What the sink has to arrive at."""
    return count * (count + 1)
