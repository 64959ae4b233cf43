"""Priority bands: how urgent the messages of an edge are."""

from __future__ import annotations

import enum


class PriorityBand(enum.IntEnum):
    """How urgent the messages of an edge are. The bands share the turns by `fairness_ratio`."""

    NORMAL = 1
    """The default."""
    HIGH = 2
    """For what is to be handled sooner."""
    CONTROL = 3
    """The most urgent band of data. (CONTROL messages go before all bands, whatever their edge's.)"""


class PriorityTypeError(TypeError, ValueError):
    """A priority is of a wrong type: a TypeError as for any argument, and the ValueError that Meridian raised."""


def band_of(value: object) -> PriorityBand:
    """A PriorityBand from one or from its number; ValueError or TypeError for anything else."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise PriorityTypeError(f"priority must be a PriorityBand, not {value!r}")
    try:
        return PriorityBand(value)
    except ValueError:
        raise ValueError(f"priority must be PriorityBand.CONTROL (3), HIGH (2) or NORMAL (1), not {value!r}") from None
