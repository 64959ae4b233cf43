# Reads what the core counts, for snapshots: each node and each edge in one section of its own.

from graphflow.core.cell cimport Cell
from graphflow.core.contents cimport CLOSED
from graphflow.core.edge cimport Edge
from graphflow.core.engine cimport Engine
from graphflow.core.lock cimport acquire, peek
from graphflow.core.sender cimport Outlet
from graphflow.core.state cimport CONTROL_OUTBOX, OUTBOX, PAUSED, STOPPED, NodeState

from graphflow.config import PriorityBand
from graphflow.snapshot import Distribution


def survey_scheduler(Engine engine):
    """Fields of a SchedulerSnapshot; of one that never ran where `engine` is None."""
    return {
        "workers": 0, "parked_workers": 0, "running_nodes": 0, "runnable_nodes": 0, "blocked_nodes": 0,
        "turns": {"lane": 0, "control": 0, "high": 0, "normal": 0}, "wakeups": 0,
        "loop_latency": Distribution(0, 0.0, 0.0, 0.0, ()),
    }


def survey_node(Cell cell):
    """Fields of a NodeSnapshot that the core knows; of one that never ran where `cell` is None."""
    cdef NodeState* state
    fields = dict.fromkeys(
        ("running", "handled", "failed", "dead_lettered", "in_handler", "held", "abandoned", "errors", "retries",
         "ticks", "turns", "outbox", "outbox_limit"), 0)
    fields.update(state="idle", busy_s=0.0, last_error=None, handler_time=None)
    if cell is not None:
        fields.update(cell.counts())
        state = cell.state
        acquire(cell.dispatch.mu)
        fields["running"] = state.running
        fields["state"] = state_name(state)
        cell.dispatch.unlock()
        fields["outbox"] = peek(cell.outbox) + peek(cell.control_outbox)
        fields["outbox_limit"] = cell.outbox_limit
        fields["last_error"] = type(cell.errors[-1]).__name__ if cell.errors else None
    fields["messages"] = sum(
        fields[name] for name in ("handled", "failed", "dead_lettered", "in_handler", "held", "abandoned"))
    return fields


cdef str state_name(NodeState* state):
    if state.running > 0:
        return "running"
    if state.masks & STOPPED:
        return "stopped"
    if state.masks & (OUTBOX | CONTROL_OUTBOX):
        return "blocked"
    if state.masks & PAUSED:
        return "paused"
    if state.level >= 0:
        return "ready"
    return "backing off" if state.book.resting != NULL else "idle"


def survey_edge(Engine engine, link):
    """Fields of an EdgeSnapshot that the core knows."""
    cdef Edge edge = link.edge
    cdef Outlet outlet = None if engine is None else engine.outlets.get(edge.id)
    stats = edge.stats()
    fields = {name: getattr(stats, name) for name in type(stats).__slots__}
    fields.update(
        band=PriorityBand(link.band).name.lower(), deferred=0 if outlet is None else outlet.waiting(),
        closed=bool(peek(edge.special) & CLOSED), blocked_now=False, time_in_queue=None,
    )
    return fields
