import enum
from collections.abc import Callable, Hashable
from typing import Any, Protocol, runtime_checkable

class PutResult(enum.Enum):
    """What became of a put or an emit. Every member is truthy: compare, do not test."""

    OK = "ok"
    BLOCKED = "blocked"
    DROPPED = "dropped"
    REPLACED = "replaced"
    COALESCED = "coalesced"
    DEFERRED = "deferred"

@runtime_checkable
class Policy(Protocol):
    """What an edge asks of an overflow policy."""

    def on_enqueue(self, capacity: int, size: int, item: Any) -> PutResult: ...

class BuiltinPolicy:
    """Base of the built-in policies."""

class Block(BuiltinPolicy):
    """A full edge refuses the newcomer: nothing is lost, producers wait."""

    def __init__(self) -> None: ...
    def on_enqueue(self, capacity: int, size: int, item: Any) -> PutResult: ...

class Drop(BuiltinPolicy):
    """A full edge discards the newcomer."""

    def __init__(self) -> None: ...
    def on_enqueue(self, capacity: int, size: int, item: Any) -> PutResult: ...

class Latest(BuiltinPolicy):
    """A full edge discards its oldest item: it holds the newest `capacity` items, in order."""

    def __init__(self) -> None: ...
    def on_enqueue(self, capacity: int, size: int, item: Any) -> PutResult: ...

class Coalesce(BuiltinPolicy):
    """A full edge merges the newcomer into its newest item; with a key, always into the queued item of the same key."""

    @property
    def fn(self) -> Callable[[Any, Any], Any]: ...
    @property
    def key(self) -> Callable[[Any], Hashable] | None: ...
    def __init__(self, fn: Callable[[Any, Any], Any], key: Callable[[Any], Hashable] | None = None) -> None: ...
    def on_enqueue(self, capacity: int, size: int, item: Any) -> PutResult: ...

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
