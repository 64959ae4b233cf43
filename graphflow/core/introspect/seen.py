"""Hooks, nodes and edges as the watchdog sees them: a moment of a run as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class HookSeen:
    """A hook that runs."""

    node: str
    crew: int
    number: int
    """Another one when the node is at another message."""
    hook: str
    thread: int
    body: Any = None
    """Its coroutine, if it is one."""
    resting: bool = False
    """It rests in `Node.sleep`."""
    rests: int = 0
    """How often it has."""


@dataclass(frozen=True, slots=True)
class NodeSeen:
    """A node with something to do, or one that was stopped."""

    path: str
    crew: int
    running: bool = False
    ready: bool = False
    waits_for_room: bool = False
    paused: bool = False
    stopped: bool = False
    resting: bool = False
    """It backs off before another attempt."""
    error: str | None = None
    """Type of its latest error."""
    unheard: bool = False
    """All its outputs are closed, and nobody has said that it goes on without them (`ends_with_outputs`)."""
    begun: int = 0
    """Hooks that it has begun so far."""


@dataclass(frozen=True, slots=True)
class EdgeSeen:
    """An edge that holds something, or whose node was stopped."""

    id: str
    source: str | None
    target: str | None
    depth: int
    capacity: int
    deferred: int
    """Items that wait in the outbox of its source."""
    taken: int
    """Items that have left it so far."""
    dropped_closed: int

    def __str__(self) -> str:
        waiting = f", {self.deferred} deferred" if self.deferred else ""
        return f"{self.id} ({self.depth} of {self.capacity}{waiting})"


Observation = tuple[list[HookSeen], dict[str, NodeSeen], list[EdgeSeen]]
