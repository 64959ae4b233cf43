# Taking a run apart in a forked child; see edges/forked.pyx for what that is for.
#
# It is done on the child's one thread before fork() returns to its caller, so nothing is locked. What is found is what
# the other threads left at that moment. Sections that hold the GIL (all of an edge's, and those of the dispatcher that
# news and turns are) were complete, as whoever forks holds it; on a free-threaded build the interpreter stops the
# others at such a place. But workers that lie down and the keeper hold the dispatcher's lock without the GIL, and may
# have been anywhere: what they change (lists of nodes that are ready, timers, sleepers, bells) is not repaired but
# emptied, after which the thread that forked can leave its turn like any other.
#
# Locks and bells are made anew in place. A bell is not destroyed first: the C library would wait for its sleepers.
#
# Who waits at an edge is let go (one may be this thread, interrupted by a signal handler that forked); coroutines are
# not called: their loops' pipes are the parent's too. For the same reason no byte goes to the run's event loop any
# more.

from graphflow.core.cells.cell cimport Cell
from graphflow.core.dispatch.state cimport ENDED, LEVELS, NO_HOOK, Crew, InletList, NodeState
from graphflow.core.dispatch.turns cimport Dispatch
from graphflow.core.edges.contents cimport CLOSED, REFUSED
from graphflow.core.edges.edge cimport Edge
from graphflow.core.edges.forked cimport FORKED, strand
from graphflow.core.engine.engine cimport Engine
from graphflow.core.sync.lock cimport Bell, LeafLock, Lock
from graphflow.core.sync.parking cimport SHUT, Wait, WaitList, ring
from graphflow.core.sync.thread_state cimport here

cdef extern from *:
    """
    #include <new>
    #include <type_traits>
    #define GF_RENEW(thing) (new (static_cast<void*>(&(thing))) std::remove_reference_t<decltype(thing)>())
    """
    void renew_lock "GF_RENEW" (Lock& lock) noexcept
    void renew_leaf "GF_RENEW" (LeafLock& lock) noexcept
    void renew_bell "GF_RENEW" (Bell& bell) noexcept


def orphan(Engine engine):
    """Take the run apart in a forked child: whatever was held, nothing is, and nothing of it goes on."""
    cdef Cell cell
    empty_dispatch(engine.dispatch)
    engine.announced = True         # nobody is told of its start any more
    for link in engine.links:
        close_edge(<Edge>link.edge)
    for cell in engine.cells:
        cell.over = True            # emit refuses, and nothing more is made of what a hook raises
    if here().scheduler == engine.token:
        strand(engine.token)


cdef void empty_dispatch(Dispatch dispatch) noexcept:
    cdef NodeState* node
    cdef int index
    renew_lock(dispatch.mu)
    renew_bell(dispatch.keeper_bell)
    renew_bell(dispatch.linger_bell)
    dispatch.rung = NULL
    dispatch.phase = ENDED
    dispatch.phases_new = 0
    dispatch.timers.count = 0
    dispatch.to_check = NULL
    dispatch.busy_nodes = 0
    for index in range(dispatch.group_count):
        dispatch.groups[index].listed = False
    for index in range(dispatch.crew_count):
        empty_crew(&dispatch.crews[index])
    for index in range(dispatch.node_count):
        node = &dispatch.nodes[index]
        empty_node(node)
        dispatch.busy_nodes += node.busy


cdef void empty_crew(Crew* crew) noexcept:
    cdef int level
    renew_bell(crew.bell[0])
    for level in range(LEVELS):
        crew.levels[level].first = crew.levels[level].last = NULL
    crew.count = crew.idle = crew.waking = crew.permits = 0
    crew.urgent = crew.wake_fd = -1


cdef void empty_node(NodeState* node) noexcept:
    cdef int band
    node.previous = node.next = NULL
    node.level = -1
    node.pending = 0
    node.hook = NO_HOOK
    node.poke = 1               # the worker inside looks up at the next message boundary
    node.batch_left = node.lingering = 0
    node.tick.place = node.room.place = node.retry.place = -1
    for band in range(3):
        empty_line(&node.data[band])
    empty_line(&node.lanes)
    node.book.leavers = node.book.last_leaver = node.book.resting = NULL


cdef void empty_line(InletList* line) noexcept:
    line.first = line.last = NULL


cdef void close_edge(Edge edge) noexcept:
    renew_leaf(edge.mu)
    if not edge.special & REFUSED:
        edge.refused_ns = edge.clock.now_ns()
    edge.special |= CLOSED | REFUSED | FORKED
    edge.rung = edge.last_rung = NULL
    let_go(&edge.putters)
    let_go(&edge.claim_waiters)
    let_go(&edge.lane_putters)
    let_go(&edge.getters)
    edge.show_waiters()


cdef void let_go(WaitList* waits) noexcept:
    """Ring the threads that wait."""
    cdef Wait* wait = waits.first
    cdef Wait* following
    while wait != NULL:
        following = wait.next
        if wait.bell != NULL:
            ring(wait, SHUT)
        wait = following
