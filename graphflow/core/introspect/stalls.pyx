# What the watchdog looks at: a moment of a run as plain data. Nothing here judges; see graphflow/runtime/watchdog.py.
#
# Each node and each edge is read in a section of its own, so the picture is consistent for each, not across them: what
# it shows standing still for a while does stand still. Only nodes that are busy and edges that hold something are in
# it.

from graphflow.core.cells.cell cimport Cell
from graphflow.core.cells.outbox cimport Outlet
from graphflow.core.dispatch.state cimport CONTROL_OUTBOX, OUTBOX, PAUSED, STOPPED, NodeState
from graphflow.core.dispatch.turns cimport Dispatch
from graphflow.core.edges.contents cimport CLOSED
from graphflow.core.edges.edge cimport Edge
from graphflow.core.engine.engine cimport Engine
from graphflow.core.sync.lock cimport acquire, peek

from graphflow.core.introspect.seen import EdgeSeen, HookSeen, NodeSeen


def observe(Engine engine):
    """The hooks that run, the nodes that are busy (by path) and the edges that hold something."""
    cdef list hooks = []
    cdef dict nodes = {}
    cdef list edges = []
    for cell in engine.cells:
        node = see_node(engine.dispatch, <Cell>cell)
        if node is not None:
            nodes[node.path] = node
            hooks += [HookSeen(node.path, node.crew, *hook) for hook in cell.hooks_inside()]
    for link in engine.links:
        edge = see_edge(engine, link)
        if edge is not None:
            edges.append(edge)
    return hooks, nodes, edges


cdef object see_node(Dispatch dispatch, Cell cell):
    """None for a node that has nothing to do."""
    cdef NodeState* state = cell.state
    cdef int masks
    cdef bint busy, running, ready, resting
    acquire(dispatch.mu)
    busy = state.busy
    masks = state.masks
    running = state.running > 0
    ready = state.level >= 0
    resting = state.book.resting != NULL
    dispatch.unlock()
    unheard = cell.unheard() and cell.node.ends_with_outputs is None and not masks & STOPPED
    if not busy and not masks & STOPPED and not unheard:
        return None
    error = type(cell.errors[-1]).__name__ if cell.errors else None
    return NodeSeen(
        cell.path, state.crew - dispatch.crews, running, ready, masks & (OUTBOX | CONTROL_OUTBOX) != 0,
        masks & PAUSED != 0, masks & STOPPED != 0, resting, error,
        unheard, peek(cell.begun),
    )


cdef object see_edge(Engine engine, object link):
    """None for an edge that holds nothing, and that nothing is dropped into."""
    cdef Edge edge = link.edge
    cdef Outlet outlet = engine.outlets.get(edge.id)
    cdef Py_ssize_t deferred = 0
    cdef Py_ssize_t depth, limit
    cdef long long taken, dropped
    if outlet is not None:
        deferred = peek(outlet.deferred.count) + peek(outlet.deferred_control.count)
    if deferred == 0 and edge.depth_peek() == 0 and not peek(edge.special) & CLOSED:
        return None
    acquire(edge.mu)
    depth = edge.depth_peek()
    limit = edge.limit
    taken = edge.counts.delivered + edge.in_batch_handed() + edge.counts.replaced + edge.counts.expired
    dropped = edge.counts.dropped_closed
    edge.unlock()
    source = None if link.source is None else engine.cells[link.source].path
    target = None if link.target is None else engine.cells[link.target].path
    return EdgeSeen(edge.id, source, target, depth, limit, deferred, taken, dropped)
