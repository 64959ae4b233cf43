from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from graphflow.core.cells.base import NodeBase
from graphflow.core.edges.policy import Policy, PutResult
from graphflow.core.edges.stats import EdgeStats
from graphflow.core.messages.port import Port, PortSpec
from graphflow.core.sync.clock import Clock

_T = TypeVar("_T", default=Any)

class Edge(Generic[_T]):
    """A typed, bounded, thread-safe queue from one port to another.

    capacity: items it holds; max_bytes: bytes it holds, as sizeof(payload) counts them (default: len); ttl_s: seconds
    after which an item is not delivered but counted as expired; control_capacity: CONTROL messages, in a lane of their
    own that overtakes the data and takes no room from it. spec: a PortSpec whose schema the payloads must match.
    default_policy: what happens to a newcomer on a full edge, Block() if None. The ends are names, or the nodes and
    ports that bear them.

    Messages and raw values may be put; a bare None is not an item. Raises ValueError or TypeError, naming the argument,
    for bounds and policies that are none.
    """

    def __init__(
        self,
        source_node: str | NodeBase,
        source_port: str | Port,
        target_node: str | NodeBase,
        target_port: str | Port,
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
    def id(self) -> str:
        """ "source:port->target:port", with the subgraph path before a nested node once the graph is registered."""

    @property
    def source_node(self) -> str:
        """Name of the node that puts, or "input" for an exposed input."""

    @property
    def source_port(self) -> str:
        """Its output port, or the name of the exposed input."""

    @property
    def target_node(self) -> str:
        """Name of the node that takes, or "output" for an exposed output."""

    @property
    def target_port(self) -> str:
        """Its input port, or the name of the exposed output."""

    @property
    def spec(self) -> PortSpec | None:
        """What the payloads must match, or None."""

    @property
    def capacity(self) -> int:
        """Data items the edge holds at most."""

    @property
    def default_policy(self) -> Policy:
        """What happens to a newcomer on a full edge."""

    @property
    def max_bytes(self) -> int | None:
        """Bytes of data the edge holds at most, as `sizeof` counts them, or None."""

    @property
    def ttl_s(self) -> float | None:
        """Seconds after which an item expires, or None."""

    @property
    def control_capacity(self) -> int:
        """CONTROL messages the edge holds at most."""

    @property
    def closed(self) -> bool:
        """True once close() was called: nothing more goes in."""

    def try_put(self, item: _T, policy: Policy | None = None) -> PutResult:
        """Put without waiting; returns a PutResult (BLOCKED: refused, the item stays yours).

        policy: for this put alone, instead of the edge's own; a Coalesce with a key cannot be one, and a keyed edge
        takes none. Raises SchemaError, ValueError for an item larger than max_bytes, EdgeClosed.
        """

    def put(self, item: _T, timeout: float | None = None) -> PutResult:
        """Put, waiting up to `timeout` seconds (None: for ever) while a Block edge is full; returns a PutResult.

        Raises TimeoutError (the item stays yours), EdgeClosed, SchemaError, ValueError for an item larger than
        max_bytes or a negative timeout, SchedulerStateError where it would wait on a worker thread of the edge's own
        scheduler.
        """

    def put_many(self, items: Iterable[_T], timeout: float | None = None) -> int:
        """Put items in order, waiting up to `timeout` seconds in all; returns how many were accepted, a prefix.

        Of what has a length: raises, before anything is put, what put() raises for a wrong item; EdgeClosed if closed
        before the first. (It is read whole, so give what makes its items as it goes by an iterator.)

        Of an iterator, or anything without a length: one item is read at a time, when the one before is in, and where
        one is not accepted it raises, as put() does (TimeoutError, EdgeClosed, SchemaError, ...): `error.item` is that
        item, `error.accepted` how many went in, and the iterator can be gone on with.
        """

    def try_get(self) -> _T | None:
        """The next item, control messages first, or None if there is none."""

    def get(self, timeout: float | None = None) -> _T:
        """The next item, waiting up to `timeout` seconds (None: for ever).

        Raises TimeoutError, EdgeClosed (closed and empty), SchedulerStateError where it would wait on a worker thread
        of the edge's own scheduler.
        """

    def get_many(self, max: int, timeout: float | None = 0) -> list[_T]:
        """Up to `max` items in order: waits up to `timeout` seconds for the first, then takes what is there.

        Returns an empty list when the time is up. Raises EdgeClosed (closed and empty).
        """

    def _use_clock(self, clock: Clock) -> None:
        """For tests of time to live: another source of time, before anything is put."""

    def depth(self) -> int:
        """Items here now, control messages included."""

    def is_empty(self) -> bool:
        """True if there is nothing to get."""

    def is_full(self) -> bool:
        """True if the data is full, by items or by bytes (the control lane does not count)."""

    def stats(self) -> EdgeStats:
        """Counts of one moment, an EdgeStats: offered = delivered + dropped + replaced + coalesced + expired + depth +
        undelivered.
        """

    def close(self) -> None:
        """Take no more items: waiting puts raise EdgeClosed; what is queued can still be taken, then gets raise it
        too.
        """

    def set_capacity(self, capacity: int) -> None:
        """Change the capacity: more room is handed out at once; with less nothing is lost, the edge is over-full until
        it drains. Raises ValueError or TypeError.
        """

    def _carry(self, wanted: bool) -> None: ...
    def _relocate(self, source_node: str, target_node: str) -> None: ...
