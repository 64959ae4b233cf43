# Reads what the core counts, for snapshots and recordings: the scheduler, each node and each edge in one section of its
# own, so each is consistent in itself. Copies are made under the lock; Python objects are made of them after it.

from types import MappingProxyType

from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy, memset

from graphflow.core.cells.cell cimport Cell
from graphflow.core.cells.handling cimport Inlet
from graphflow.core.cells.outbox cimport Outlet
from graphflow.core.dispatch.state cimport CONTROL_OUTBOX, ENDED, OUTBOX, PAUSED, STOPPED, Crew, NodeState
from graphflow.core.dispatch.turns cimport Dispatch
from graphflow.core.edges.contents cimport CLOSED, REFUSED
from graphflow.core.edges.edge cimport Edge
from graphflow.core.engine.engine cimport Engine
from graphflow.core.metrics.histogram cimport Histogram, distribution
from graphflow.core.metrics.recorder cimport PHASE, STALL, TURN_BEGINS, TURN_ENDS, Event, Recorder, Row
from graphflow.core.sync.lock cimport acquire, peek

cdef enum:
    LEVEL_COUNT = 4

cdef tuple LEVEL_NAMES = ("normal", "high", "control", "lane")
cdef tuple STATE_NAMES = ("running", "stopped", "blocked", "paused", "ready", "backing off", "idle")
cdef tuple EVENT_NAMES = (
    "turn begins", "turn ends", "park", "wake", "tick", "control", "error", "phase", "stall",
)
cdef tuple PHASE_NAMES = ("starting", "running", "draining", "stopping", "stopped")


def survey_scheduler(Engine engine):
    """Fields of a SchedulerSnapshot; of one that never ran where `engine` is None."""
    cdef Dispatch dispatch
    cdef Histogram latency
    cdef Crew* crew
    cdef NodeState* state
    cdef int index, level
    cdef int64_t turns[LEVEL_COUNT]
    cdef int64_t wakeups = 0
    cdef int parked = 0, running = 0, ready = 0, blocked = 0
    memset(&latency, 0, sizeof(Histogram))
    memset(&turns, 0, sizeof(turns))
    if engine is not None:
        dispatch = engine.dispatch
        acquire(dispatch.mu)
        for index in range(dispatch.crew_count):
            crew = &dispatch.crews[index]
            parked += crew.idle if dispatch.phase != ENDED else 0
            wakeups += crew.wakeups
            for level in range(LEVEL_COUNT):
                turns[level] += crew.turns[level]
        for index in range(dispatch.node_count):
            state = &dispatch.nodes[index]
            running += state.running > 0
            ready += state.level >= 0
            blocked += state.masks & (OUTBOX | CONTROL_OUTBOX) != 0
        latency = dispatch.latency.times
        dispatch.unlock()
    return {
        "parked_workers": parked, "running_nodes": running, "runnable_nodes": ready, "blocked_nodes": blocked,
        "turns": MappingProxyType({LEVEL_NAMES[level]: turns[level] for level in range(LEVEL_COUNT - 1, -1, -1)}),
        "wakeups": wakeups, "loop_latency": distribution(&latency),
    }


def survey_node(Cell cell):
    """Fields of a NodeSnapshot that the core knows; of one that never ran where `cell` is None."""
    cdef NodeState* state
    cdef int64_t busy_ns, turns
    cdef int running, doing
    fields = dict.fromkeys(
        ("running", "handled", "failed", "dead_lettered", "in_handler", "held", "abandoned", "errors", "retries",
         "ticks", "turns", "outbox", "outbox_limit", "buffered"), 0)
    fields.update(state="idle", busy_s=0.0, last_error=None, handler_time=None)
    if cell is not None:
        fields.update(cell.counts())
        state = cell.state
        acquire(cell.dispatch.mu)
        busy_ns = <int64_t>(state.spent_ns + <uint64_t>state.running * <uint64_t>cell.dispatch.clock.now_ns())
        turns = state.turns
        running = state.running
        doing = state_of(state)
        cell.dispatch.unlock()
        fields.update(
            running=running, turns=turns, busy_s=busy_ns / 1e9, state=STATE_NAMES[doing],
            outbox=peek(cell.outbox) + peek(cell.control_outbox) + peek(cell.kept), outbox_limit=cell.outbox_limit,
            buffered=cell.node.buffered,
            last_error=type(cell.errors[-1]).__name__ if cell.errors else None,
            handler_time=distribution(&cell.handling.times) if cell.handling != NULL else None,
        )
    fields["messages"] = sum(fields[name] for name in ("handled", "failed", "dead_lettered", "abandoned"))
    return fields


cdef int state_of(NodeState* state) noexcept nogil:
    """Under the lock: what the node is doing, as an index into STATE_NAMES."""
    if state.running > 0:
        return 0
    if state.masks & STOPPED:
        return 1
    if state.masks & (OUTBOX | CONTROL_OUTBOX):
        return 2
    if state.masks & PAUSED:
        return 3
    if state.level >= 0:
        return 4
    return 5 if state.book.resting != NULL else 6


def survey_edge(Engine engine, link):
    """Fields of an EdgeSnapshot that the core knows."""
    cdef Edge edge = link.edge
    cdef Outlet outlet = None if engine is None else engine.outlets.get(edge.id)
    cdef Histogram times
    cdef bint timed, blocked
    stats = edge.stats()
    fields = {name: getattr(stats, name) for name in type(stats).__slots__}
    acquire(edge.mu)
    blocked = edge.special & REFUSED != 0 or edge.lane_refused_ns != 0
    timed = edge.times != NULL
    if timed:
        times = edge.times.times
    edge.unlock()
    fields.update(
        band=band_name(engine, edge, link), deferred=0 if outlet is None else outlet.waiting(),
        closed=bool(peek(edge.special) & CLOSED), blocked_now=blocked,
        time_in_queue=distribution(&times) if timed else None,
    )
    return fields


cdef str band_name(Engine engine, Edge edge, object link):
    """The band that the edge is in now, which set_priority() may have changed."""
    cdef Inlet inlet = None if engine is None else engine.inlets.get(edge.id)
    cdef Outlet outlet = None if engine is None else engine.outlets.get(edge.id)
    if inlet is not None:
        return LEVEL_NAMES[peek(inlet.state.band)]
    return LEVEL_NAMES[outlet.band if outlet is not None else link.band - 1]


def survey_flight(Engine engine):
    """The events of the flight recorder: (seconds on the run's clock, event, worker or -1, node or -1, detail), how
    many older ones were overwritten, and how many were left out. What a worker is in is there in any case."""
    cdef Recorder recorder = engine.dispatch.recorder
    cdef Event* copy
    cdef Row* rows
    cdef Py_ssize_t index, place, kept
    cdef int64_t written, left_out
    cdef list events = []
    copy = <Event*>PyMem_Calloc(max(recorder.size, 1), sizeof(Event))
    rows = <Row*>PyMem_Calloc(max(recorder.row_count, 1), sizeof(Row))
    try:
        if copy == NULL or rows == NULL:
            raise MemoryError
        acquire(engine.dispatch.mu)
        memcpy(copy, recorder.ring, recorder.size * sizeof(Event))
        memcpy(rows, recorder.rows, recorder.row_count * sizeof(Row))
        place = recorder.place
        written = recorder.written
        left_out = recorder.left_out
        engine.dispatch.unlock()
        kept = min(written, recorder.size)
        for index in range(recorder.row_count):
            if rows[index].doing and (rows[index].left_out or rows[index].number < written - kept):
                events.append(event_seen(&rows[index].began))
        for index in range(kept):
            events.append(event_seen(&copy[(place - kept + index + recorder.size) % recorder.size]))
    finally:
        PyMem_Free(copy)
        PyMem_Free(rows)
    return events, written - kept, left_out


cdef tuple event_seen(Event* event):
    detail = ""
    if event.kind == TURN_BEGINS:
        detail = LEVEL_NAMES[event.detail]
    elif event.kind == TURN_ENDS and event.detail:
        detail = "cut"
    elif event.kind == PHASE:
        detail = PHASE_NAMES[event.detail]
    return (event.at_ns / 1e9, EVENT_NAMES[event.kind], event.worker, event.node, detail)


def note_stall(Engine engine, int node):
    """Keep in the flight recorder that the watchdog has found a stall of a node (-1: of none)."""
    engine.dispatch.note(STALL, &engine.dispatch.nodes[node] if node >= 0 else NULL, 0)
