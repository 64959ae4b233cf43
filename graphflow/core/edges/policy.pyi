import enum
from collections.abc import Callable, Hashable
from typing import Any, Protocol, runtime_checkable

class PutResult(enum.Enum):
    """What became of a put or an emit. Every member is truthy: compare, do not test."""

    OK = "ok"
    """Accepted."""
    BLOCKED = "blocked"
    """Refused: the caller keeps the item. (Never the answer of an emit.)"""
    DROPPED = "dropped"
    """Discarded, and counted."""
    REPLACED = "replaced"
    """Accepted; the oldest item made way."""
    COALESCED = "coalesced"
    """Merged into a queued item."""
    DEFERRED = "deferred"
    """Of an emit: accepted, delivered when there is room. Return now, do not emit again."""

@runtime_checkable
class Policy(Protocol):
    """What an edge asks of an overflow policy."""

    def on_enqueue(self, capacity: int, size: int, item: Any) -> PutResult:
        """Say what becomes of `item` on an edge that holds `size` of `capacity` items: OK, BLOCKED, DROPPED or
        REPLACED (the oldest item makes way). OK on a full edge is BLOCKED all the same.
        """

class BuiltinPolicy:
    """Base of the built-in policies."""

class Block(BuiltinPolicy):
    """A full edge refuses the newcomer: nothing is lost, producers wait."""

    def __init__(self) -> None: ...
    def on_enqueue(self, capacity: int, size: int, item: Any) -> PutResult:
        """OK while there is room, else BLOCKED."""

class Drop(BuiltinPolicy):
    """A full edge discards the newcomer."""

    def __init__(self) -> None: ...
    def on_enqueue(self, capacity: int, size: int, item: Any) -> PutResult:
        """OK while there is room, else DROPPED."""

class Latest(BuiltinPolicy):
    """A full edge discards its oldest item: it holds the newest `capacity` items, in order."""

    def __init__(self) -> None: ...
    def on_enqueue(self, capacity: int, size: int, item: Any) -> PutResult:
        """OK while there is room, else REPLACED."""

class Coalesce(BuiltinPolicy):
    """A full edge merges the newcomer into its newest item; with a key, always into the queued item of the same key.

    fn(old, new) gets payloads and returns the merged payload. It runs with no lock held and may run more than once for
    one put, so it must be pure. key(payload) returns a hashable value; with it the edge holds at most one item a key.
    If fn raises, the error is logged and counted and the newcomer takes the item's place.

    Raises TypeError if fn or key cannot be called.
    """

    @property
    def fn(self) -> Callable[[Any, Any], Any]:
        """fn(old, new) of two payloads: the merged one."""

    @property
    def key(self) -> Callable[[Any], Hashable] | None:
        """key(payload): what must be equal for two to be merged, or None."""

    def __init__(self, fn: Callable[[Any, Any], Any], key: Callable[[Any], Hashable] | None = None) -> None: ...
    def on_enqueue(self, capacity: int, size: int, item: Any) -> PutResult:
        """OK while there is room, else COALESCED, which no policy of your own may answer: the edge merges."""

def block() -> Block:
    """The same as Block()."""

def drop() -> Drop:
    """The same as Drop()."""

def latest() -> Latest:
    """The same as Latest()."""

def coalesce(fn: Callable[[Any, Any], Any], key: Callable[[Any], Hashable] | None = None) -> Coalesce:
    """The same as Coalesce(fn, key)."""

def check_policy(policy: Any, argument: str) -> Any:
    """`policy` itself, or TypeError naming the argument."""
