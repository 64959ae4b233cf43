# Who is ready, in what order, and why the others are not: the dispatcher's state as plain data, for dumps.
#
# Nodes and crews are copied under the lock as they are. Their links point into the originals, and lead to the copies by
# their index; so nothing of Python's is made before the lock is gone.

from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.string cimport memcpy

from graphflow.core.dispatch.state cimport Crew, NodeState
from graphflow.core.dispatch.turns cimport Dispatch
from graphflow.core.engine.engine cimport Engine
from graphflow.core.sync.lock cimport acquire

cdef tuple LEVEL_NAMES = ("normal", "high", "control", "lane")
cdef tuple PENDING_NAMES = ("control", "data", "tick", "room", "source", "held", "hook", "retry")
cdef tuple MASK_NAMES = ("outbox", "control outbox", "paused", "stopped", "producing")


def line_up(Engine engine):
    """The crews with the nodes that are queued for them, first one first; and every node with what it could do
    (`pending`), what keeps it from that (`masks`) and who is inside."""
    cdef Dispatch dispatch = engine.dispatch
    cdef NodeState* nodes = <NodeState*>PyMem_Calloc(dispatch.node_count + 1, sizeof(NodeState))
    cdef Crew* crews = <Crew*>PyMem_Calloc(dispatch.crew_count, sizeof(Crew))
    cdef int index
    try:
        if nodes == NULL or crews == NULL:
            raise MemoryError
        acquire(dispatch.mu)
        memcpy(nodes, dispatch.nodes, dispatch.node_count * sizeof(NodeState))
        memcpy(crews, dispatch.crews, dispatch.crew_count * sizeof(Crew))
        busy = dispatch.busy_nodes
        inputs = dispatch.open_inputs
        unfinished = dispatch.groups_left
        dispatch.unlock()
        paths = [cell.path for cell in engine.cells]
        return {
            "busy_nodes": busy,
            "open_inputs": inputs,
            "unfinished_groups": unfinished,
            "crews": [crew_seen(&crews[index], nodes, dispatch.nodes, paths) for index in range(dispatch.crew_count)],
            "nodes": {paths[index]: node_seen(&nodes[index], dispatch) for index in range(dispatch.node_count)},
        }
    finally:
        PyMem_Free(nodes)
        PyMem_Free(crews)


cdef dict crew_seen(Crew* crew, NodeState* copies, NodeState* originals, list paths):
    cdef int level
    cdef NodeState* node
    queued = {}
    for level in range(len(LEVEL_NAMES) - 1, -1, -1):
        waiting = []
        node = crew.levels[level].first
        while node != NULL:
            waiting.append(paths[node - originals])
            node = copies[node - originals].next
        queued[LEVEL_NAMES[level]] = waiting
    return {
        "queued": queued,
        "credit": {LEVEL_NAMES[level]: crew.credit[level] for level in range(2, -1, -1)},
        "ratio": {LEVEL_NAMES[level]: crew.ratio[level] for level in range(2, -1, -1)},
        "control_run": crew.lane_run,
        "asleep": crew.idle,
        "waking": crew.waking,
    }


cdef dict node_seen(NodeState* node, Dispatch dispatch):
    return {
        "crew": node.crew - dispatch.crews,
        "queued_at": LEVEL_NAMES[node.level] if node.level >= 0 else None,
        "pending": names_of(node.pending, PENDING_NAMES),
        "masks": names_of(node.masks, MASK_NAMES),
        "running": node.running,
        "limit": node.limit,
        "batch_left": node.batch_left,
        "busy": bool(node.busy),
        "started": bool(node.started),
        "open_calls": node.book.given - node.book.gone,
    }


cdef list names_of(int bits, tuple names):
    cdef int place
    return [names[place] for place in range(len(names)) if bits >> place & 1]
