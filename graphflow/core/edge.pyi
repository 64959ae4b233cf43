from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from graphflow.core.clock import Clock
from graphflow.core.policy import Policy, PutResult
from graphflow.core.port import PortSpec
from graphflow.stats import EdgeStats

_T = TypeVar("_T", default=Any)

class Edge(Generic[_T]):
    """A typed, bounded, thread-safe queue from one port to another."""

    def __init__(
        self,
        source_node: str,
        source_port: str,
        target_node: str,
        target_port: str,
        capacity: int = 1024,
        spec: PortSpec | None = None,
        default_policy: Policy | None = None,
        *,
        max_bytes: int | None = None,
        ttl_s: float | None = None,
        control_capacity: int = 64,
        sizeof: Callable[[Any], int] | None = None,
    ) -> None: ...
    @property
    def id(self) -> str: ...
    @property
    def source_node(self) -> str: ...
    @property
    def source_port(self) -> str: ...
    @property
    def target_node(self) -> str: ...
    @property
    def target_port(self) -> str: ...
    @property
    def spec(self) -> PortSpec | None: ...
    @property
    def capacity(self) -> int:
        """Items the edge holds."""

    @property
    def default_policy(self) -> Policy:
        """What happens to a newcomer on a full edge."""

    @property
    def max_bytes(self) -> int | None:
        """Bytes the edge holds, or None."""

    @property
    def ttl_s(self) -> float | None:
        """Seconds after which an item expires, or None."""

    @property
    def control_capacity(self) -> int:
        """CONTROL messages the edge holds."""

    @property
    def closed(self) -> bool:
        """True once close() was called: nothing more goes in."""

    def try_put(self, item: _T, policy: Policy | None = None) -> PutResult:
        """Put without waiting; BLOCKED means refused, the item stays yours."""

    def put(self, item: _T, timeout: float | None = None) -> PutResult:
        """Put, waiting up to `timeout` seconds (None: for ever) while a Block edge is full."""

    def put_many(self, items: Iterable[_T], timeout: float | None = None) -> int:
        """Put items in order, waiting up to `timeout` seconds in all; returns how many were accepted, a prefix."""

    def try_get(self) -> _T | None:
        """The next item, control messages first, or None if there is none."""

    def get(self, timeout: float | None = None) -> _T:
        """The next item, waiting up to `timeout` seconds (None: for ever)."""

    def get_many(self, max: int, timeout: float | None = 0) -> list[_T]:
        """Up to `max` items: waits up to `timeout` seconds for the first; empty when the time is up."""

    def _use_clock(self, clock: Clock) -> None:
        """For tests of time to live: another source of time, before anything is put."""

    def depth(self) -> int:
        """Items here now, control messages included."""

    def is_empty(self) -> bool:
        """True if there is nothing to get."""

    def is_full(self) -> bool:
        """True if the data is full, by items or by bytes."""

    def stats(self) -> EdgeStats:
        """Counts of one moment."""

    def close(self) -> None:
        """Take no more items: waiting puts raise EdgeClosed; what is queued can still be taken."""

    def set_capacity(self, capacity: int) -> None:
        """Change the capacity: more room is handed out at once; with less nothing is lost."""

    def _relocate(self, source_node: str, target_node: str) -> None: ...
