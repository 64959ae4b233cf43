"""What exporters read from a snapshot: one table for all of them, so that they say the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from graphflow.snapshot.values import EdgeSnapshot, NodeSnapshot, Snapshot

STALL_KINDS = ("hook", "cycle", "paused", "stopped", "unread", "unheard", "unknown")


@dataclass(frozen=True, slots=True)
class Reading:
    """A number, or several that a label tells apart (`split`), of an edge, of a node or of the scheduler."""

    of: Literal["edge", "node", "scheduler"]
    name: str
    """In OpenTelemetry's way, after "graphflow.<of>."."""
    prometheus: str
    """In Prometheus's way, after "graphflow_<of>_", with the unit; counters get their `_total` from the library."""
    kind: Literal["counter", "gauge", "histogram"]
    unit: str
    """UCUM: "s", "By", or what is counted, in braces."""
    meaning: str
    read: Callable[[Any], Any]
    """From an EdgeSnapshot, a NodeSnapshot or a Snapshot: a number, a dict of them if it is split, a Distribution, or
    None where there is nothing to tell."""
    split: Literal["reason", "band"] | None = None


def _drops(edge: EdgeSnapshot) -> dict[str, int]:
    full = edge.dropped - edge.dropped_closed - edge.dropped_error
    return {"full": full, "closed": edge.dropped_closed, "error": edge.dropped_error}


def _unhandled(node: NodeSnapshot) -> dict[str, int]:
    return {"failed": node.failed, "dead_lettered": node.dead_lettered, "abandoned": node.abandoned}


def _stalls(snapshot: Snapshot) -> dict[str, int]:
    return dict.fromkeys(STALL_KINDS, 0) | Counter(stall.kind for stall in snapshot.stalls)


def _up(snapshot: Snapshot) -> int:
    return int(snapshot.status not in ("new", "stopped"))


def _edge(name: str, prometheus: str, kind: Any, unit: str, meaning: str, read: Any, split: Any = None) -> Reading:
    return Reading("edge", name, prometheus, kind, unit, meaning, read, split)


def _node(name: str, prometheus: str, kind: Any, unit: str, meaning: str, read: Any, split: Any = None) -> Reading:
    return Reading("node", name, prometheus, kind, unit, meaning, read, split)


def _self(name: str, prometheus: str, kind: Any, unit: str, meaning: str, read: Any, split: Any = None) -> Reading:
    return Reading("scheduler", name, prometheus, kind, unit, meaning, read, split)


_M = "{message}"
_ENTERED = "Messages that entered the queue"
_DROPPED = "Newcomers that were discarded, and for a stopped node what was queued"
_UNDELIVERED = "Messages left behind by a stop"
_BLOCKED_S = "Seconds from refusals to the next room"
_DEFERRED = "Messages that wait in the outbox of the source for room here"
_QUEUE_S = "Seconds from the put to the taking; one message in 64 is timed"
_NODE_MESSAGES = "Messages the node is done with"
_UNHANDLED = "Messages the node is done with that it did not handle"
_BUSY = "Seconds spent inside the node, by all workers together"
_OUTBOX = "Messages the node emitted that found no room yet"
_HANDLER_S = "Seconds of a call of on_message; one in 64 is timed"
_TURNS = "Turns given, by what for: the lane of control messages and hooks, or a band"
_LATENCY = "Seconds a ready node waited for a worker; one wait in 64 is timed"

EDGE: tuple[Reading, ...] = (
    _edge("offered", "offered", "counter", _M, "Messages accepted, discarded or merged", lambda e: e.offered),
    _edge("enqueued", "enqueued", "counter", _M, _ENTERED, lambda e: e.enqueued),
    _edge("delivered", "delivered", "counter", _M, "Messages that were taken", lambda e: e.delivered),
    _edge("dropped", "dropped", "counter", _M, _DROPPED, _drops, "reason"),
    _edge("replaced", "replaced", "counter", _M, "Queued messages discarded for newer ones", lambda e: e.replaced),
    _edge("coalesced", "coalesced", "counter", _M, "Newcomers merged into a queued message", lambda e: e.coalesced),
    _edge("expired", "expired", "counter", _M, "Messages past their time to live", lambda e: e.expired),
    _edge("undelivered", "undelivered", "counter", _M, _UNDELIVERED, lambda e: e.undelivered),
    _edge("merge_errors", "merge_errors", "counter", "{error}", "Merges that raised", lambda e: e.merge_errors),
    _edge("blocked", "blocked", "counter", _M, "Newcomers that found no room", lambda e: e.blocked),
    _edge("blocked_time", "blocked_seconds", "counter", "s", _BLOCKED_S, lambda e: e.blocked_s),
    _edge("depth", "queue_depth", "gauge", _M, "Messages in the queue now", lambda e: e.depth),
    _edge("peak_depth", "queue_peak_depth", "gauge", _M, "The most there were at once", lambda e: e.peak_depth),
    _edge("capacity", "queue_capacity", "gauge", _M, "Data messages it holds at most", lambda e: e.capacity),
    _edge("bytes", "queue_bytes", "gauge", "By", "Bytes in the queue, where they are counted", lambda e: e.bytes),
    _edge("deferred", "outbox_depth", "gauge", _M, _DEFERRED, lambda e: e.deferred),
    _edge("queue_time", "queue_seconds", "histogram", "s", _QUEUE_S, lambda e: e.time_in_queue),
)

NODE: tuple[Reading, ...] = (
    _node("messages", "messages", "counter", _M, _NODE_MESSAGES, lambda n: n.messages),
    _node("failed", "failed", "counter", _M, _UNHANDLED, _unhandled, "reason"),
    _node("errors", "errors", "counter", "{error}", "Exceptions that left its hooks", lambda n: n.errors),
    _node("retries", "retries", "counter", "{attempt}", "Attempts that another one followed", lambda n: n.retries),
    _node("ticks", "ticks", "counter", "{tick}", "Ticks", lambda n: n.ticks),
    _node("turns", "turns", "counter", "{turn}", "Times that a worker entered the node", lambda n: n.turns),
    _node("busy_time", "busy_seconds", "counter", "s", _BUSY, lambda n: n.busy_s),
    _node("outbox", "outbox_depth", "gauge", _M, _OUTBOX, lambda n: n.outbox),
    _node("buffered", "buffered", "gauge", _M, "Messages the node keeps, by its own account", lambda n: n.buffered),
    _node("in_handler", "in_handler", "gauge", _M, "Messages in a handler now", lambda n: n.in_handler),
    _node("running", "running", "gauge", "{worker}", "Workers inside the node now", lambda n: n.running),
    _node("handler_time", "handler_seconds", "histogram", "s", _HANDLER_S, lambda n: n.handler_time),
)

SCHEDULER: tuple[Reading, ...] = (
    _self("up", "up", "gauge", "1", "1 while it runs, starts or stops, else 0", _up),
    _self("turns", "turns", "counter", "{turn}", _TURNS, lambda s: dict(s.scheduler.turns), "band"),
    _self("wakeups", "wakeups", "counter", "{wakeup}", "Workers woken", lambda s: s.scheduler.wakeups),
    _self("workers", "workers", "gauge", "{thread}", "Threads that run nodes", lambda s: s.scheduler.workers),
    _self(
        "parked_workers",
        "parked_workers",
        "gauge",
        "{thread}",
        "Of these, asleep",
        lambda s: s.scheduler.parked_workers,
    ),
    _self("running_nodes", "running_nodes", "gauge", "{node}", "Nodes being run", lambda s: s.scheduler.running_nodes),
    _self(
        "runnable_nodes",
        "runnable_nodes",
        "gauge",
        "{node}",
        "Nodes ready to run",
        lambda s: s.scheduler.runnable_nodes,
    ),
    _self(
        "blocked_nodes", "blocked_nodes", "gauge", "{node}", "Nodes short of room", lambda s: s.scheduler.blocked_nodes
    ),
    _self("stalls", "stalls", "gauge", "{stall}", "What stands still now, by kind", _stalls, "reason"),
    _self("loop_latency", "loop_latency_seconds", "histogram", "s", _LATENCY, lambda s: s.scheduler.loop_latency),
)
