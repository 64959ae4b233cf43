"""What a scheduler, its nodes and its edges look like at one moment.

`Scheduler.snapshot()` returns a `Snapshot`: frozen, read from C counters that are always on. Each edge is read in one
critical section of its own, and so is each node: the counting of an edge holds in every snapshot, also under load, but
the parts are not of the very same instant. Times are in seconds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

from graphflow.core.edges.stats import EdgeStats
from graphflow.core.metrics.distribution import Distribution

NodeState = Literal["idle", "ready", "running", "blocked", "paused", "backing off", "stopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeSnapshot(EdgeStats):
    """An edge: its counts (see `EdgeStats`), where it lies and what it is set to."""

    id: str
    """Of the edge, such as "parse:out->store:in"."""
    source: str | None
    """Path of the node that feeds it; None for an exposed input."""
    target: str | None
    """Path of the node that reads it; None for an exposed output."""
    band: str
    """"control", "high" or "normal"."""
    policy: str
    """"Block", "Drop", "Latest", "Coalesce", or the class of a policy of your own."""
    max_bytes: int | None
    """Bytes of data the edge holds at most, or None."""
    control_capacity: int
    """CONTROL messages the edge holds at most."""
    deferred: int
    """Items in the outbox of its source, emitted and not yet let in (not part of `offered` before they are)."""
    closed: bool
    """Nothing more goes in."""
    blocked_now: bool
    """A newcomer was refused and there has been no room since."""
    time_in_queue: Distribution | None
    """From the put to the get, of data; None without `SchedulerConfig(metrics=True)`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSnapshot:
    """A node: what became of its messages, and what it is doing."""

    path: str
    """Its name, with those of the subgraphs around it: "parse/split"."""
    state: NodeState
    """What it does, or why it does nothing: "blocked" waits for room in an edge, "backing off" for another attempt."""
    running: int
    """Workers (or coroutines) inside it."""
    max_concurrency: int
    """Workers (or coroutines) that may be inside it."""
    messages: int
    """Done with: handled + failed + dead_lettered + abandoned. What its edges have delivered is this, and what is
    in_handler and held."""
    handled: int
    """Messages whose handler returned."""
    failed: int
    """Given up after an error."""
    dead_lettered: int
    """Given up after an error, and emitted as a `DeadLetter`."""
    in_handler: int
    """Messages whose handler is running."""
    held: int
    """In a suspended generator, or waiting for another attempt."""
    abandoned: int
    """In a handler that had not ended when the node was stopped."""
    errors: int
    """Exceptions that left its hooks."""
    retries: int
    """Attempts that another one followed."""
    ticks: int
    """Calls of `on_tick`."""
    turns: int
    """Times that a worker entered it."""
    busy_s: float
    """Seconds spent inside it, by all workers together, what is still running included; a coroutine counts while it
    awaits."""
    buffered: int
    """Messages it holds, by its own account (`Node.buffered`), or in a batch that is not full; they were handled."""
    outbox: int
    """Messages it emitted that found no room yet."""
    outbox_limit: int
    """The most that `outbox` may be, but for a dead letter of each message that it is at."""
    last_error: str | None
    """Type of the latest error that was kept, or None."""
    handler_time: Distribution | None
    """Of one call of `on_message`; None without `SchedulerConfig(metrics=True)`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StallSnapshot:
    """What stands still, as the watchdog found it (see `SchedulerConfig.watchdog_s`)."""

    kind: str
    """"hook", "cycle", "paused", "stopped", "unread", "unheard" or "unknown"."""
    node: str | None
    """Path of the node at the root of it, where there is one."""
    edge_id: str | None
    """The edge at the root of it, where there is one."""
    seconds: float
    """How long it has stood still."""
    chain: tuple[str, ...]
    """Edges and nodes from where it was noticed to the root, each waiting for the next."""
    stack: str
    """Where a hook stands that does not return, else ""."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerSnapshot:
    """The scheduler itself."""

    workers: int
    """Threads that run nodes, the dedicated ones and the event loop's included."""
    parked_workers: int
    """Of these, asleep."""
    running_nodes: int
    """Nodes that a worker is inside of."""
    runnable_nodes: int
    """Nodes that are ready and wait for a worker."""
    blocked_nodes: int
    """Nodes that wait for room in an edge."""
    turns: Mapping[str, int]
    """Turns by what they were given for: "lane" (control messages and hooks), "control", "high", "normal"."""
    wakeups: int
    """Workers woken."""
    loop_latency: Distribution
    """From a node's getting ready to a worker's entering it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A scheduler at one moment. `edges` by id and `nodes` by path are read-only mappings in graph order."""

    graph: str
    """Name of the scheduler, see `SchedulerConfig.name`."""
    status: str
    """"new", "starting", "running", "draining", "stopping" or "stopped"."""
    time: float
    """When, in seconds since the epoch."""
    run_s: float
    """Seconds since the run began; of an ended run, how long it took."""
    scheduler: SchedulerSnapshot
    """Turns, workers, latency."""
    nodes: Mapping[str, NodeSnapshot]
    """By path, in graph order."""
    edges: Mapping[str, EdgeSnapshot]
    """By id, in graph order."""
    stalls: tuple[StallSnapshot, ...]
    """What stands still now; empty when all moves."""

    def to_dict(self) -> dict[str, Any]:
        """The same as plain dicts, lists, numbers and strings, for `json.dumps`."""
        return _plain(self)  # type: ignore[no-any-return]


class _FrozenDict(dict[str, Any]):
    """A dict that refuses changes. Unlike a MappingProxyType it can be pickled, copied and given to
    `dataclasses.asdict`."""

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("a snapshot cannot be changed: copy it with dict()")

    __setitem__ = __delitem__ = __ior__ = _refuse  # pyright: ignore[reportAssignmentType,reportIncompatibleMethodOverride]
    clear = pop = popitem = setdefault = update = _refuse  # pyright: ignore[reportAssignmentType,reportIncompatibleMethodOverride]

    def __reduce__(self) -> tuple[type[_FrozenDict], tuple[dict[str, Any]]]:
        return _FrozenDict, (dict(self),)


def frozen(mapping: dict[str, Any]) -> Mapping[str, Any]:
    """The same, read-only."""
    return _FrozenDict(mapping)


def _plain(value: Any) -> Any:
    if isinstance(value, Distribution):
        return value.to_dict()
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(each) for each in value]
    return value
