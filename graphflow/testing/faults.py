"""What may go wrong in a simulation: faults that the caller lists, and the seed chooses from."""

from __future__ import annotations

from dataclasses import dataclass

from graphflow.base.arguments import seconds as checked_seconds


class InjectedError(Exception):
    """What a handler raises where a simulation makes it fail."""


@dataclass(frozen=True)
class _Chance:
    chance: float
    """From 0 (never) to 1 (always), at each occasion."""

    def __post_init__(self) -> None:
        if isinstance(self.chance, bool) or not isinstance(self.chance, (int, float)):
            raise TypeError(f"chance must be a number from 0 to 1, not {self.chance!r}")
        if not 0 <= self.chance <= 1:
            raise ValueError(f"chance must be from 0 to 1, not {self.chance!r}")


@dataclass(frozen=True)
class _OfNodes(_Chance):
    node: str | None = None
    """Path of the node that it befalls; None: any."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.node is not None and not isinstance(self.node, str):
            raise TypeError(f"node must be the path of a node or None, not {self.node!r}")

    def befalls(self, path: str) -> bool:
        """Can it befall this node?"""
        return self.node in (None, path)


@dataclass(frozen=True)
class HandlerRaises(_OfNodes):
    """`on_message`, `on_tick` or `produce` raises InjectedError, before it has done anything or after everything."""


@dataclass(frozen=True)
class HandlerHangs(_OfNodes):
    """`on_message`, `on_tick` or `produce` does not go on for `seconds`, or (None) until the faults are over."""

    seconds: float | None = None
    """Of virtual time; None: until the faults are over."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.seconds is not None:
            checked_seconds("seconds", self.seconds)


@dataclass(frozen=True)
class PutTimesOut(_Chance):
    """A put with a timeout that has to wait is out of time at once."""


Fault = HandlerRaises | HandlerHangs | PutTimesOut
"""Any of the three faults."""
