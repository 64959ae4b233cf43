# The state of a run, and the one decision that everything turns on: is this node ready, and how urgently?
#
# With phases.pyx (how a run begins, runs dry and stops), events.pyx (what it is told) and turns.pyx (turns) this
# decides what a run does. None of it waits or calls anything of the user's; Engine is the shell that runs what is
# granted and sleeps when there is nothing. One lock, `mu`, guards everything (the scheduler lock of sync/lock.pxd; edge
# locks come after it, and none is taken here: the depth of an edge is peeked at, see check()).
#
# A node is `pending` bits (what it could do), `masks` (what keeps it from that) and `running` (workers inside, up to
# `limit`). refresh() is the one place that decides from these whether a node is queued, at which level, and whether it
# is busy; whoever changes a field calls it in the same section.
#
# Invariants, true whenever `mu` is free:
#   D1  A node is queued if and only if it may be entered and something pending is not masked and the phase allows it;
#       it stands in one list, at the level of the highest such thing.
#   D2  An inlet is in its node's list if its edge may hold items that no worker is taking: put there by arrived(),
#       taken off by choose(), put back by inlet_left() unless the edge was then seen empty (the edge will tell of the
#       next).
#   D3  busy_nodes and group.busy count the nodes with anything running, pending or deferred. Quiescent (no such node,
#       no open input, no node that lives on its ticks) means that the graph begins to drain. While it drains, a group
#       is finished when it is idle and nothing before it or outside can feed it any more, and every on_drain in it has
#       run: so in topological order.
#   D4  A worker sleeps only after seeing, in the same section, that its crew has nothing queued; whoever queues wakes
#       one worker, unless enough are on their way already. So no ready node waits for a sleeping worker.
#   D5  The keeper sleeps until the earliest timer, deadline or look of the watchdog; whoever arms an earlier one wakes
#       it. A look is armed while a node is busy, so an idle graph wakes nobody.

from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.stdint cimport int64_t

from graphflow.core.dispatch.ready_queue cimport ready_push, ready_remove
from graphflow.core.dispatch.state cimport (
    BANDS,
    CONTROL_OUTBOX,
    DRAINING,
    ENDED,
    HAS_CONTROL,
    HAS_DATA,
    HAS_HELD,
    HAS_HOOK,
    HAS_RETRY,
    HAS_ROOM,
    HAS_SOURCE,
    HAS_TICK,
    LANE_LEVEL,
    OUTBOX,
    PAUSED,
    PRODUCING,
    RUNNING,
    STARTING,
    STOPPED,
    STOPPING,
    CallBook,
    Crew,
    Group,
    InletList,
    InletState,
    NodeState,
    Phase,
    Timer,
)
from graphflow.core.dispatch.timers cimport NEVER, TimerHeap
from graphflow.core.metrics.histogram cimport new_timed, sampled
from graphflow.core.metrics.recorder cimport PHASE, Recorder
from graphflow.core.sync.clock cimport Clock
from graphflow.core.sync.lock cimport Bell, peek, poke, require
from graphflow.core.sync.mutants cimport planted

cdef extern from "<unistd.h>":
    Py_ssize_t write(int fd, const void* bytes, size_t count) noexcept nogil

cdef enum:
    EVERYTHING = 255
    BUSY_BITS = HAS_CONTROL | HAS_DATA | HAS_SOURCE | HAS_HELD | HAS_HOOK | HAS_RETRY


cdef class Readiness:
    """The state of a run and the decision what is ready; see the declarations for the fields."""

    def __cinit__(self, int node_count, int crew_count, int group_count, int after_count, Clock clock, int batch,
                  Recorder recorder):
        cdef int index
        self.node_count = node_count
        self.crew_count = crew_count
        self.group_count = self.groups_left = group_count
        self.nodes = <NodeState*>PyMem_Calloc(max(node_count, 1), sizeof(NodeState))
        self.crews = <Crew*>PyMem_Calloc(crew_count, sizeof(Crew))
        self.groups = <Group*>PyMem_Calloc(max(group_count, 1), sizeof(Group))
        self.after = <int*>PyMem_Calloc(max(after_count, 1), sizeof(int))
        if self.nodes == NULL or self.crews == NULL or self.groups == NULL or self.after == NULL:
            raise MemoryError
        for index in range(crew_count):
            self.crews[index].bell = new Bell()
            self.crews[index].urgent = self.crews[index].wake_fd = -1
        for index in range(node_count):
            self.nodes[index].index = index
            self.nodes[index].level = -1
            self.nodes[index].limit = 1
            self.set_timer(&self.nodes[index], &self.nodes[index].tick, HAS_TICK)
            self.set_timer(&self.nodes[index], &self.nodes[index].room, HAS_ROOM)
            self.set_timer(&self.nodes[index], &self.nodes[index].retry, HAS_RETRY)
        self.timers = TimerHeap(3 * node_count)
        self.recorder = recorder
        self.latency = new_timed(0)
        self.clock = clock
        self.batch = batch
        self.drain_deadline_ns = self.deadline_ns = self.patience_ns = self.watch_due_ns = NEVER

    def __dealloc__(self):
        cdef int index
        if self.crews != NULL:
            for index in range(self.crew_count):
                del self.crews[index].bell
        if self.nodes != NULL:
            for index in range(self.node_count):
                PyMem_Free(self.nodes[index].book.places)
        PyMem_Free(self.latency)
        PyMem_Free(self.nodes)
        PyMem_Free(self.crews)
        PyMem_Free(self.groups)
        PyMem_Free(self.after)

    cdef void set_timer(self, NodeState* node, Timer* timer, int bit) noexcept:
        timer.place = -1
        timer.node = node
        timer.bit = bit

    # ======================================================================================== the one decision

    cdef void refresh(self, NodeState* node) noexcept nogil:
        """Queue the node, move it, take it off, or leave it (D1); keep its group's count (D3)."""
        cdef int ready = self.ready_bits(node, 0)
        cdef int level = -1
        if ready and node.running < node.limit:
            level = self.level_of(node, ready)
            self.stamp(node, level, ready)
        elif node.running == 0:
            node.ticket = 0
        if level != node.level:
            if node.level >= 0:
                ready_remove(node.crew, node)
            if level < 0:
                node.ready_ns = 0
            elif node.level < 0 and node.ready_ns == 0 and sampled(&node.crew.sampler):
                node.ready_ns = self.clock.now_ns()
            if level >= 0:
                ready_push(node.crew, node, level, node.batch_left > 0)
                self.wake(node.crew)
        self.count_busy(node)

    cdef int ready_bits(self, NodeState* node, int inside) noexcept nogil:
        """What the node could do now, if one more worker may enter; `inside` is 1 when a worker inside it asks. A hook
        of its life cycle runs alone, and so does the generator that it left suspended."""
        cdef int bits = node.pending & self.allowed(node)
        if planted("control behind data") and node.limit > 1 and bits & HAS_DATA:
            bits &= ~HAS_CONTROL
        return bits & ~(HAS_HOOK | HAS_HELD) if node.running > inside else bits

    cdef void stamp(self, NodeState* node, int level, int ready) noexcept nogil:
        """A node that waits for a turn of its band has a ticket; it begins a new wait when it moves between bands. One
        whose turn was cut needs none: it is first."""
        cdef bint moves = level < LANE_LEVEL and 0 <= node.level < LANE_LEVEL and level != node.level
        if ready & ~(HAS_HOOK | HAS_CONTROL) == 0 or node.batch_left > 0:
            node.ticket = 0
        elif node.ticket == 0 or moves:
            node.crew.tickets += 1
            node.ticket = node.crew.tickets

    cdef int allowed(self, NodeState* node) noexcept nogil:
        """The pending bits that phase, masks and open calls let through."""
        cdef int bits = EVERYTHING
        if self.phase == ENDED:
            return 0
        if self.phase == STARTING or self.phase == STOPPING:
            return HAS_HOOK
        if node.masks & STOPPED:
            bits = HAS_HOOK | HAS_ROOM
        if node.masks & (OUTBOX | CONTROL_OUTBOX | PAUSED) or node.pending & HAS_HELD:
            bits &= ~(HAS_DATA | HAS_TICK | HAS_SOURCE | HAS_RETRY)     # HAS_HELD: not in the middle of a message
        if node.masks & node.held_masks:
            bits &= ~HAS_HELD
        if node.masks & CONTROL_OUTBOX or node.control_held:
            bits &= ~HAS_CONTROL
        if node.masks & PRODUCING:
            bits &= ~HAS_SOURCE
        if node.book.kept:
            bits &= self.book_allows(&node.book)
        return bits

    cdef int book_allows(self, CallBook* book) noexcept nogil:
        """The pending bits that the open calls of a node let through: no data while no place is free (C2, C6), and
        nothing new while too much waits to leave (C7)."""
        cdef int bits = EVERYTHING
        cdef bint full
        if book.alone:
            return 0
        if book.claiming:
            bits &= ~(HAS_CONTROL | HAS_DATA | HAS_TICK | HAS_HELD | HAS_ROOM)
        if book.control_open:
            bits &= ~HAS_CONTROL
        if book.leaving:
            bits &= ~(HAS_ROOM | HAS_HELD)
        if book.window > 0:
            full = book.resting != NULL or book.given - book.gone >= book.window
        else:
            full = book.open - min(book.waiting, book.spare) >= book.most
        if full or book.leaver_count >= book.most:
            bits &= ~(HAS_DATA | HAS_TICK | HAS_SOURCE)
        if book.ticks_waiting > 0:
            bits &= ~HAS_TICK
        if book.leaver_count >= book.most:
            bits &= ~(HAS_CONTROL | HAS_RETRY)
        return bits

    cdef int level_of(self, NodeState* node, int ready) noexcept nogil:
        """The highest level of what is ready."""
        cdef int band
        cdef int level = 0      # ticks and sources count as NORMAL
        if ready & (HAS_HOOK | HAS_CONTROL):
            return LANE_LEVEL
        if ready & HAS_ROOM:
            level = max(level, node.room_level)
        if ready & HAS_HELD:
            level = max(level, node.held_level)
            if level == LANE_LEVEL:
                return level
        if ready & HAS_RETRY and node.book.resting != NULL:
            level = max(level, node.book.resting.level)
        if ready & HAS_DATA:
            for band in range(BANDS - 1, level, -1):
                if node.data[band].first != NULL:
                    return band
        return level

    cdef void count_busy(self, NodeState* node) noexcept nogil:
        cdef bint busy = (
            node.running > 0 or node.pending & BUSY_BITS or node.masks & (OUTBOX | CONTROL_OUTBOX)
            or node.book.resting != NULL
        )
        if node.masks & STOPPED:
            busy = node.running > 0 or node.pending & HAS_HOOK or node.masks & (OUTBOX | CONTROL_OUTBOX)
        if busy != node.busy:
            node.busy = busy
            self.busy_nodes += 1 if busy else -1
            node.group.busy += 1 if busy else -1
            if node.group.busy == 0:
                self.check_later(node.group)
            if busy and self.watch_due_ns == NEVER and self.watch_ns > 0:
                self.watch_from_now()

    cdef void watch_from_now(self) noexcept nogil:
        """Under the lock: the watchdog looks in a while (D5)."""
        self.watch_due_ns = self.clock.now_ns() + self.watch_ns
        self.wake_keeper(self.watch_due_ns)

    cdef void begin_phase(self, Phase phase) noexcept nogil:
        poke(self.phase, phase)
        if phase == DRAINING or phase == STOPPING:
            self.phases_new |= 1 << <int>phase
            self.ring_bell(&self.keeper_bell)
        if phase > RUNNING:
            self.linger_bell.ring_all()
        self.recorder.note(PHASE, self.clock.now_ns(), -1, -1, phase)

    cdef bint is_ending(self, NodeState* node) noexcept nogil:
        """Is the run asked to end, or the node stopped, or is nobody left that it works for? Under the lock; without
        it, a moment old. Whoever makes this true rings the linger bell in the same section."""
        return (
            peek(self.drain_wanted) or peek(self.stop_wanted) or peek(self.phase) > RUNNING
            or peek(node.masks) & STOPPED != 0
            or (node.ends_unheard and node.outlet_count > 0 and peek(node.outlets_open) == 0)
        )

    cdef void wake(self, Crew* crew) noexcept nogil:
        """One more sleeping worker, unless enough are on their way for what is queued (D4)."""
        if crew.idle > 0 and crew.waking < crew.count:
            crew.idle -= 1
            crew.waking += 1
            crew.permits += 1
            crew.wakeups += 1
            self.ring(crew)

    cdef void ring(self, Crew* crew) noexcept nogil:
        """Under the lock: one worker of the crew is to look. A full pipe wakes as well as another byte in it."""
        if crew.wake_fd < 0:
            self.ring_bell(crew.bell)
        else:
            write(crew.wake_fd, b"!", 1)

    cdef void alert_loops(self) noexcept nogil:
        """Under the lock: the phase has changed, which event loops act on even when nothing is queued for them."""
        cdef int index
        for index in range(self.crew_count):
            if self.crews[index].wake_fd >= 0:
                self.ring(&self.crews[index])

    # ======================================================================================== helpers of the sections

    cdef void list_inlet(self, InletState* inlet, bint control) noexcept nogil:
        """Under the lock: put an inlet at the end of its list, if it is not there (D2)."""
        cdef NodeState* node = inlet.node
        cdef InletList* line
        if control:
            if inlet.lane_queued:
                return
            inlet.lane_queued = True
            inlet.lane_next = NULL
            line = &node.lanes
            if line.last != NULL:
                line.last.lane_next = inlet
        else:
            if inlet.queued:
                return
            inlet.queued = True
            inlet.next = NULL
            line = &node.data[inlet.band]
            if line.last != NULL:
                line.last.next = inlet
        if line.first == NULL:
            line.first = inlet
        line.last = inlet
        poke(node.pending, node.pending | (HAS_CONTROL if control else HAS_DATA))
        poke(node.poke, 1)

    cdef bint take_inlet(self, NodeState* node, InletState** inlet, bint source) noexcept nogil:
        """Under the lock: the inlet whose message is next: of the highest band with credit the longest-waiting one.
        True: it is the turn of produce(), which may yield (`source`) and stands in the NORMAL band beside the inlets
        there."""
        cdef int band = -1
        cdef int candidate
        for candidate in range(BANDS - 1, -1, -1):
            if node.data[candidate].first == NULL and not (source and candidate == 0):
                continue
            if band < 0 or (node.credit[band] <= 0 and node.credit[candidate] > 0):
                band = candidate
        if node.credit[band] <= 0:
            for candidate in range(BANDS):
                node.credit[candidate] = node.crew.ratio[candidate]
        node.credit[band] -= 1
        if band == 0 and source and (node.source_next or node.data[0].first == NULL):
            node.source_next = False
            return True
        node.source_next = True
        inlet[0] = node.data[band].first
        node.data[band].first = inlet[0].next
        inlet[0].queued = False
        if node.data[band].first == NULL:
            node.data[band].last = NULL
            if node.data[0].first == NULL and node.data[1].first == NULL and node.data[2].first == NULL:
                poke(node.pending, node.pending & ~HAS_DATA)
        return False

    cdef bint banded(self, Crew* crew) noexcept nogil:
        """Under the lock: is a node ready in any of the bands?"""
        return crew.levels[0].first != NULL or crew.levels[1].first != NULL or crew.levels[2].first != NULL

    cdef void check_later(self, Group* group) noexcept nogil:
        if not group.listed and not group.finished:
            group.listed = True
            group.next = self.to_check
            self.to_check = group

    cdef void wake_keeper(self, int64_t due_ns) noexcept nogil:
        """Under the lock: something is due at `due_ns`, maybe before the keeper means to look (D5)."""
        if due_ns < self.keeper_until_ns and not planted("unwoken keeper"):
            self.ring_bell(&self.keeper_bell)

    cdef bint untold(self, NodeState* node) noexcept nogil:
        """Under the lock: does an exposed input of the node hold items that it has not been told of yet?"""
        cdef InletState* inlet = node.externals
        while inlet != NULL:
            if peek(inlet.data_count[0]) + peek(inlet.lane_count[0]) > 0:
                return True
            inlet = inlet.next_external
        return False

    cdef bint any_untold(self) noexcept nogil:
        cdef int index
        for index in range(self.node_count):
            if self.untold(&self.nodes[index]):
                return True
        return False

    # ======================================================================================== debug builds

    cdef void check_invariants(self) noexcept nogil:
        """Under the lock, in debug builds, before each unlock: do D1 and D3 hold?"""
        cdef int index
        cdef int queued = 0
        cdef int busy = 0
        cdef bint may_run
        cdef NodeState* node
        for index in range(self.node_count):
            node = &self.nodes[index]
            queued += node.level >= 0
            busy += node.busy
            if node.group != NULL:
                may_run = node.running < node.limit and self.ready_bits(node, 0) != 0
                require((node.level >= 0) == may_run, "D1 a node is queued if it may run")
            if node.book.kept and node.book.window == 0 and self.phase < STOPPING:
                require(
                    node.book.open - min(node.book.waiting, node.book.spare) <= node.book.most, "C6 calls in backoff")
        for index in range(self.crew_count):
            queued -= self.crews[index].count
            require(self.crews[index].idle >= 0 and self.crews[index].permits >= 0, "D4 sleepers")
        require(queued == 0, "D1 every queued node stands in one list")
        require(busy == self.busy_nodes, "D3 busy nodes")
