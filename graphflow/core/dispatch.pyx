# The decisions of a run: which node runs next, what it may do, when a node, a group and the run are finished.
#
# It never waits and calls nothing of the user's; Engine is the shell that runs what is granted here and sleeps when there
# is nothing. One lock, `mu`, guards everything (the scheduler lock of lock.pxd; edge locks come after it, and none is
# taken here: the depth of an edge is peeked at, see check()).
#
# A node is `pending` bits (what it could do), `masks` (what keeps it from that) and `running` (workers inside, up to
# `limit`). refresh() is the one place that decides from these whether a node is queued, at which level, and whether it is
# busy; whoever changes a field calls it in the same section.
#
# Invariants, true whenever `mu` is free:
#   D1  A node is queued if and only if it may be entered and something pending is not masked and the phase allows it;
#       it stands in one list, at the level of the highest such thing.
#   D2  An inlet is in its node's list if its edge may hold items that no worker is taking: put there by arrived(), taken
#       off by choose(), put back by inlet_left() unless the edge was then seen empty (the edge will tell of the next).
#   D3  busy_nodes and group.busy count the nodes with anything running, pending or deferred. Quiescent (no such node, no
#       open input) means that the graph begins to drain. While it drains, a group is finished when it is idle and nothing
#       before it or outside can feed it any more, and every on_drain in it has run: so in topological order.
#   D4  A worker sleeps only after seeing, in the same section, that its crew has nothing queued; whoever queues wakes one
#       worker, unless enough are on their way already. So no ready node waits for a sleeping worker.
#   D5  The keeper sleeps until the earliest timer or deadline; whoever arms an earlier one wakes it.
#
# Races thought of: an item arrives while its node is running (the inlet is listed and `pending` set: the worker sees it
# before it leaves, or end_turn queues the node again); room comes while the node that wants it is still in the turn that
# found the edge full (HAS_ROOM stays pending); an input closes just after a put that is not yet told of (the putter's
# store happened before the close, so check() sees the depth); the last node falls idle while shutdown() is called (both
# under mu); a stop passes a node that is inside a hook, which then returns (leave_turn looks at it again).

from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.stdint cimport int64_t

from graphflow.core.clock cimport Clock
from graphflow.core.lock cimport acquire, gf_wait, peek, poke
from graphflow.core.ready cimport ready_pick, ready_push, ready_remove
from graphflow.core.state cimport (
    BANDS,
    CONTROL_OUTBOX,
    CONTROL_WORK,
    DATA_WORK,
    DRAIN_HOOK,
    DRAINING,
    ENDED,
    FLUSH_WORK,
    HAS_CONTROL,
    HAS_DATA,
    HAS_HELD,
    HAS_HOOK,
    HAS_ROOM,
    HAS_SOURCE,
    HAS_TICK,
    HELD_WORK,
    HOOK_WORK,
    LANE_LEVEL,
    LANE_RUN,
    NO_HOOK,
    NO_WORK,
    OUTBOX,
    PAUSED,
    RUNNING,
    SOURCE_WORK,
    START_HOOK,
    STARTING,
    STOP_HOOK,
    STOPPED,
    STOPPING,
    TICK_WORK,
    Crew,
    Group,
    Hook,
    InletList,
    InletState,
    NodeState,
    Phase,
    Timer,
    Work,
)
from graphflow.core.timers cimport NEVER, TimerHeap

cdef enum:
    EVERYTHING = 127
    BUSY_BITS = HAS_CONTROL | HAS_DATA | HAS_SOURCE | HAS_HELD | HAS_HOOK

    KEEPER_ENDED = 0        # answers of keep()
    KEEPER_SHORT = 1        # a worker must be added, then keep() called again


cdef class Dispatch:
    """The scheduler's state and its decisions; see the declarations for the fields."""

    def __cinit__(self, int node_count, int crew_count, int group_count, int after_count, Clock clock, int batch):
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
            self.crews[index].bell = new condition_variable()
            self.crews[index].urgent = -1
        for index in range(node_count):
            self.nodes[index].index = index
            self.nodes[index].level = -1
            self.nodes[index].limit = 1
            self.nodes[index].tick.place = self.nodes[index].room.place = -1
            self.nodes[index].tick.node = self.nodes[index].room.node = &self.nodes[index]
            self.nodes[index].tick.bit = HAS_TICK
            self.nodes[index].room.bit = HAS_ROOM
        self.timers = TimerHeap(2 * node_count)
        self.clock = clock
        self.batch = batch
        self.drain_deadline_ns = self.deadline_ns = self.patience_ns = NEVER

    def __dealloc__(self):
        cdef int index
        if self.crews != NULL:
            for index in range(self.crew_count):
                del self.crews[index].bell
        PyMem_Free(self.nodes)
        PyMem_Free(self.crews)
        PyMem_Free(self.groups)
        PyMem_Free(self.after)

    # ======================================================================================== the one decision

    cdef void refresh(self, NodeState* node) noexcept nogil:
        """Queue the node, move it, take it off, or leave it (D1); keep its group's count (D3)."""
        cdef int ready = node.pending & self.allowed(node)
        cdef int level = -1
        if ready and node.running < node.limit:
            level = self.level_of(node, ready)
        if level != node.level:
            if node.level >= 0:
                ready_remove(node.crew, node)
            if level >= 0:
                ready_push(node.crew, node, level, node.batch_left > 0)
                self.wake(node.crew)
        self.count_busy(node)

    cdef int allowed(self, NodeState* node) noexcept nogil:
        """The pending bits that phase and masks let through."""
        cdef int bits = EVERYTHING
        if self.phase == ENDED:
            return 0
        if self.phase == STARTING or self.phase == STOPPING:
            return HAS_HOOK
        if node.masks & STOPPED:
            return HAS_HOOK | HAS_ROOM
        if node.masks & (OUTBOX | CONTROL_OUTBOX):
            bits &= ~(HAS_DATA | HAS_TICK | HAS_SOURCE | HAS_HELD)
        if node.masks & CONTROL_OUTBOX:
            bits &= ~HAS_CONTROL
        if node.masks & PAUSED:
            bits &= ~(HAS_DATA | HAS_TICK | HAS_SOURCE | HAS_HELD)
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
        if ready & HAS_DATA:
            for band in range(BANDS - 1, level, -1):
                if node.data[band].first != NULL:
                    return band
        return level

    cdef void count_busy(self, NodeState* node) noexcept nogil:
        cdef bint busy = (
            node.running > 0 or node.pending & BUSY_BITS or node.masks & (OUTBOX | CONTROL_OUTBOX)
            or (node.keeps_alive and self.phase == RUNNING)
        )
        if node.masks & STOPPED:
            busy = node.running > 0 or node.pending & HAS_HOOK or node.masks & (OUTBOX | CONTROL_OUTBOX)
        if busy != node.busy:
            node.busy = busy
            self.busy_nodes += 1 if busy else -1
            node.group.busy += 1 if busy else -1
            if node.group.busy == 0:
                self.check_later(node.group)

    cdef void wake(self, Crew* crew) noexcept nogil:
        """One more sleeping worker, unless enough are on their way for what is queued (D4)."""
        if crew.idle > 0 and crew.waking < crew.count:
            crew.idle -= 1
            crew.waking += 1
            crew.permits += 1
            crew.bell.notify_one()

    # ======================================================================================== news from the edges

    cdef void arrived(self, InletState* inlet, bint control) noexcept:
        """An edge that its node had seen empty is not any more."""
        acquire(self.mu)
        self.list_inlet(inlet, control)
        self.refresh(inlet.node)
        self.mu.unlock()

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

    cdef void room(self, NodeState* node) noexcept:
        """An edge that the node had seen full has room, or is closed."""
        acquire(self.mu)
        poke(node.pending, node.pending | HAS_ROOM)
        self.refresh(node)
        self.check_groups()
        self.mu.unlock()

    cdef void open_input(self, InletState* inlet) noexcept:
        """Before the run begins: an exposed input keeps the graph alive until it is closed."""
        acquire(self.mu)
        inlet.open = True
        self.open_inputs += 1
        inlet.node.group.open_inputs += 1
        self.mu.unlock()

    cdef void input_closed(self, InletState* inlet) noexcept:
        """An edge into the node was closed: of an exposed input nothing more will come."""
        acquire(self.mu)
        if inlet.external and inlet.open:
            inlet.open = False
            self.open_inputs -= 1
            inlet.node.group.open_inputs -= 1
            self.check_later(inlet.node.group)
            self.check_groups()
        self.mu.unlock()

    cdef void expect_room(self, NodeState* node, int64_t after_ns) noexcept:
        """The full edge that the node waits for may lose items to their time to live in `after_ns`."""
        cdef int64_t due = self.clock.now_ns() + after_ns
        acquire(self.mu)
        if node.room.place < 0 or due < node.room.due_ns:
            self.timers.arm(&node.room, due)
            self.wake_keeper(due)
        self.mu.unlock()

    # ======================================================================================== turns

    cdef NodeState* next_turn(self, Crew* crew, bint woken) noexcept:
        """The node that the calling worker enters, or NULL if nothing is ready."""
        cdef NodeState* node
        acquire(self.mu)
        if woken:
            crew.waking -= 1
        node = ready_pick(crew)
        if node != NULL:
            node.running += 1
            if node.batch_left == 0:
                node.batch_left = self.batch
            self.refresh(node)
        self.mu.unlock()
        return node

    cdef Work choose(self, NodeState* node, InletState** inlet, int* quantum, int lanes_done) noexcept:
        """What the worker inside `node` does next, and how much of it; taken off what is pending."""
        cdef int ready
        cdef int band
        cdef Work work = NO_WORK
        acquire(self.mu)
        node.crew.lane_run += lanes_done
        poke(node.poke, 0)
        quantum[0] = node.batch_left
        ready = node.pending & self.allowed(node)
        if ready & HAS_HOOK:
            work = HOOK_WORK
            node.hook_running = True
            poke(node.pending, node.pending & ~HAS_HOOK)
        elif ready & HAS_ROOM:
            work = FLUSH_WORK
            self.timers.disarm(&node.room)
            poke(node.pending, node.pending & ~HAS_ROOM)
        elif ready & HAS_CONTROL and node.crew.lane_run >= LANE_RUN and not ready & HAS_DATA and self.banded(node.crew):
            work = NO_WORK          # the one banded turn that a long run of control owes is another node's
        elif ready & HAS_CONTROL and not (node.crew.lane_run >= LANE_RUN and ready & HAS_DATA):
            work = CONTROL_WORK
            inlet[0] = node.lanes.first
            node.lanes.first = inlet[0].lane_next
            inlet[0].lane_queued = False
            if node.lanes.first == NULL:
                node.lanes.last = NULL
                poke(node.pending, node.pending & ~HAS_CONTROL)
            quantum[0] = max(1, LANE_RUN - node.crew.lane_run)
        elif ready & HAS_TICK:
            work = TICK_WORK
            poke(node.pending, node.pending & ~HAS_TICK)
        elif ready & HAS_HELD:
            work = HELD_WORK
        elif ready & HAS_DATA:
            work = DATA_WORK
            band = self.take_inlet(node, inlet)
            if node.pending & HAS_DATA:
                quantum[0] = 1      # other inputs share: by credit between the bands, in turn within one
            if ready & HAS_CONTROL:
                node.crew.lane_run = 0
                quantum[0] = 1      # the same, and it is this node's
        elif ready & HAS_SOURCE:
            work = SOURCE_WORK
        self.mu.unlock()
        return work

    cdef bint banded(self, Crew* crew) noexcept nogil:
        """Under the lock: is a node ready in any of the bands?"""
        return crew.levels[0].first != NULL or crew.levels[1].first != NULL or crew.levels[2].first != NULL

    cdef int take_inlet(self, NodeState* node, InletState** inlet) noexcept nogil:
        """Under the lock: the inlet whose message is next: the highest band with credit, its longest-waiting inlet."""
        cdef int band = -1
        cdef int candidate
        for candidate in range(BANDS - 1, -1, -1):
            if node.data[candidate].first != NULL and (band < 0 or (node.credit[band] <= 0 < node.credit[candidate])):
                band = candidate
        if node.credit[band] <= 0:
            for candidate in range(BANDS):
                node.credit[candidate] = node.crew.ratio[candidate]
        node.credit[band] -= 1
        inlet[0] = node.data[band].first
        node.data[band].first = inlet[0].next
        inlet[0].queued = False
        if node.data[band].first == NULL:
            node.data[band].last = NULL
            if node.data[0].first == NULL and node.data[1].first == NULL and node.data[2].first == NULL:
                poke(node.pending, node.pending & ~HAS_DATA)
        return band

    cdef void inlet_left(self, InletState* inlet, bint control) noexcept:
        """The worker stopped taking from an edge that it has not seen empty (D2)."""
        acquire(self.mu)
        self.list_inlet(inlet, control)
        self.mu.unlock()

    cdef void set_outbox(self, NodeState* node, bint data, bint control, int level) noexcept:
        """Whether the node's outbox now holds data and control, and the highest band among them."""
        cdef int masks
        acquire(self.mu)
        masks = node.masks & ~(OUTBOX | CONTROL_OUTBOX)
        if data:
            masks |= OUTBOX
        if control:
            masks |= CONTROL_OUTBOX
        poke(node.masks, masks)
        node.room_level = level
        self.mu.unlock()

    cdef void ended(self, NodeState* node, int bits) noexcept:
        """A source or a suspended handler of the node has ended."""
        acquire(self.mu)
        poke(node.pending, node.pending & ~bits)
        self.mu.unlock()

    cdef void hold(self, NodeState* node, int level) noexcept:
        """A handler of the node is suspended and goes on when it can."""
        acquire(self.mu)
        poke(node.pending, node.pending | HAS_HELD)
        node.held_level = level
        self.mu.unlock()

    cdef void end_turn(self, NodeState* node, bint cut, int batch_left) noexcept:
        """The worker leaves the node. A cut turn goes on at the head of its band with the rest of its batch."""
        acquire(self.mu)
        node.batch_left = batch_left if cut else 0
        if cut and node.turn_level < BANDS:
            node.crew.credit[node.turn_level] += 1      # the rest of the turn is paid for
        self.leave_turn(node)
        if node.level < 0:
            node.batch_left = 0
        self.check_groups()
        self.mu.unlock()

    cdef void leave_turn(self, NodeState* node) noexcept nogil:
        """Under the lock: one worker fewer inside."""
        node.running -= 1
        node.hook_running = False
        self.refresh(node)
        if self.phase == STOPPING:
            self.next_stop()
        elif self.phase == STARTING:
            self.next_start()

    # ======================================================================================== sleeping

    cdef bint sleep(self, Crew* crew) noexcept nogil:
        """Without the GIL: wait for something to be ready; False when the run has ended (D4)."""
        cdef bint alive
        self.mu.lock()
        if crew.count == 0 and self.phase != ENDED:
            crew.idle += 1
            while crew.permits == 0 and self.phase != ENDED:
                gf_wait(crew.bell[0], self.mu, -1)
            crew.permits -= 1
        else:
            crew.waking += 1        # next_turn takes it back, as from one that was woken
        alive = self.phase != ENDED
        self.mu.unlock()
        return alive

    # ======================================================================================== nodes from outside

    cdef void stop_node(self, NodeState* node) noexcept:
        """The node is stopped by its error policy, from its own turn: it gets its on_stop and empties its outbox."""
        acquire(self.mu)
        poke(node.masks, node.masks | STOPPED)
        poke(node.pending, node.pending & (HAS_ROOM | HAS_HOOK))
        self.timers.disarm(&node.tick)
        node.drains = False
        if node.started and not node.stopped:
            self.grant_hook(node, STOP_HOOK)
        node.stopped = True
        self.mu.unlock()

    cdef void set_paused(self, NodeState* node, bint paused) noexcept:
        acquire(self.mu)
        if self.phase <= RUNNING:
            poke(node.masks, (node.masks | PAUSED) if paused else (node.masks & ~PAUSED))
            poke(node.poke, 1)
            self.refresh(node)
        self.mu.unlock()

    cdef void set_band(self, InletState* inlet, int band) noexcept:
        """Move an edge to another band; a waiting node moves at once."""
        cdef InletState* other
        cdef InletState* before = NULL
        cdef InletList* line
        acquire(self.mu)
        if inlet.queued and inlet.band != band:
            line = &inlet.node.data[inlet.band]
            other = line.first
            while other != inlet:
                before = other
                other = other.next
            if before == NULL:
                line.first = inlet.next
            else:
                before.next = inlet.next
            if line.last == inlet:
                line.last = before
            inlet.queued = False
            inlet.band = band
            self.list_inlet(inlet, False)
            self.refresh(inlet.node)
        inlet.band = band
        self.mu.unlock()

    # ======================================================================================== starting

    cdef void grant_hook(self, NodeState* node, Hook hook) noexcept nogil:
        """Under the lock: the node's next turn is this hook."""
        node.hook = hook
        poke(node.pending, node.pending | HAS_HOOK)
        self.refresh(node)

    cdef void begin(self) noexcept:
        """Start the nodes one after the other."""
        acquire(self.mu)
        self.phase = STARTING
        self.cursor = 0
        if self.stop_wanted:
            self.finish()
        else:
            self.next_start()
        self.mu.unlock()

    cdef void next_start(self) noexcept nogil:
        """Under the lock: grant the next on_start, once nobody is inside one."""
        if self.cursor > 0 and (self.nodes[self.cursor - 1].running > 0 or self.nodes[self.cursor - 1].pending & HAS_HOOK):
            return
        if self.stop_wanted:
            self.begin_stop()
        elif self.cursor < self.node_count:
            self.cursor += 1
            self.grant_hook(&self.nodes[self.cursor - 1], START_HOOK)
        else:
            self.open_run()

    cdef void open_run(self) noexcept nogil:
        """Under the lock: every node has started."""
        cdef int index
        cdef NodeState* node
        cdef int64_t now = self.clock.now_ns()
        self.phase = RUNNING
        for index in range(self.node_count):
            node = &self.nodes[index]
            if node.tick_interval_ns > 0 and not node.masks & STOPPED:
                self.timers.arm(&node.tick, now + node.tick_interval_ns)
            self.refresh(node)
        self.wake_keeper(self.keeper_due(now))
        if self.drain_wanted:
            self.begin_drain()
        self.check_groups()

    cdef void hook_done(self, NodeState* node, Hook hook, bint failed) noexcept:
        """A life-cycle hook of the node has returned."""
        acquire(self.mu)
        if hook == START_HOOK:
            node.started = not failed
            if failed:
                node.stopped = True
                poke(node.masks, node.masks | STOPPED)
                poke(node.pending, node.pending & HAS_ROOM)
        elif hook == STOP_HOOK:
            node.stopped = True
        self.mu.unlock()

    # ======================================================================================== running dry

    cdef void check_later(self, Group* group) noexcept nogil:
        if not group.listed and not group.finished:
            group.listed = True
            group.next = self.to_check
            self.to_check = group

    cdef void check_groups(self) noexcept nogil:
        """Under the lock: let a quiescent graph run dry, and finish what can be finished (D3). A list, not recursion: a
        chain of nodes may be long."""
        cdef Group* group
        cdef int index
        if self.phase == RUNNING and self.busy_nodes == 0 and self.open_inputs == 0 and not self.any_untold():
            self.begin_drain()
        while self.to_check != NULL and self.phase == DRAINING:
            group = self.to_check
            self.to_check = group.next
            group.listed = False
            if self.check(group):
                group.finished = True
                self.groups_left -= 1
                for index in range(group.after_count):
                    self.groups[group.after[index]].open_before -= 1
                    self.check_later(&self.groups[group.after[index]])
        if self.groups_left == 0 and self.phase == DRAINING:
            self.begin_stop()

    cdef bint check(self, Group* group) noexcept nogil:
        """Under the lock: can nothing more happen in this group? Grants an on_drain that is due.

        The edges are peeked at because a put into an exposed input may be stored and not yet told of when the input is
        closed; the store happened before the close, so it is seen here.
        """
        cdef int index
        cdef NodeState* node
        if group.busy > 0 or group.open_inputs > 0 or group.open_before > 0:
            return False
        for index in range(group.first, group.first + group.count):
            node = &self.nodes[index]
            if node.masks & STOPPED:
                continue
            if self.untold(node):
                return False
        for index in range(group.first, group.first + group.count):
            node = &self.nodes[index]
            if node.drains:
                node.drains = False
                self.grant_hook(node, DRAIN_HOOK)
                return False
        return True

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

    # ======================================================================================== stopping

    cdef void request_stop(self, bint drain, int64_t drain_deadline_ns, int64_t deadline_ns) noexcept:
        """Drain and stop, or stop without draining; the earlier deadline and `drain` False win over earlier requests."""
        acquire(self.mu)
        self.drain_deadline_ns = min(self.drain_deadline_ns, drain_deadline_ns)
        self.deadline_ns = min(self.deadline_ns, deadline_ns)
        if not drain:
            self.stop_wanted = True
        self.drain_wanted = True
        if self.phase == RUNNING or self.phase == DRAINING:
            if drain and self.phase == RUNNING:
                self.begin_drain()
            elif not drain:
                self.begin_stop()
            self.check_groups()
        elif self.phase == STOPPING:
            self.next_stop()
        self.wake_keeper(self.keeper_due(self.clock.now_ns()))
        self.mu.unlock()

    cdef void begin_drain(self) noexcept nogil:
        """Under the lock: no more ticks, nobody paused, sources end after their turn. The caller closes the inputs."""
        cdef int index
        cdef NodeState* node
        self.phase = DRAINING
        for index in range(self.node_count):
            node = &self.nodes[index]
            self.timers.disarm(&node.tick)
            poke(node.pending, node.pending & ~HAS_TICK)
            poke(node.masks, node.masks & ~PAUSED)
            poke(node.poke, 1)
            self.refresh(node)
            self.check_later(node.group)

    cdef void begin_stop(self) noexcept nogil:
        """Under the lock: from here on only on_stop runs, in reverse topological order."""
        cdef int index
        self.phase = STOPPING
        self.cursor = self.node_count - 1
        self.patience_ns = NEVER
        for index in range(self.node_count):
            self.timers.disarm(&self.nodes[index].tick)
            self.timers.disarm(&self.nodes[index].room)
            if self.nodes[index].hook != STOP_HOOK:
                poke(self.nodes[index].pending, self.nodes[index].pending & ~HAS_HOOK)
            poke(self.nodes[index].poke, 1)
            self.refresh(&self.nodes[index])
        self.next_stop()

    cdef void next_stop(self) noexcept nogil:
        """Under the lock: grant the next on_stop; when it is still inside a hook wait for it, while patience lasts."""
        cdef NodeState* node
        cdef int64_t now
        cdef int index
        while self.phase == STOPPING and self.cursor >= 0:
            node = &self.nodes[self.cursor]
            if node.running > 0 or node.pending & HAS_HOOK:
                now = self.clock.now_ns()
                if self.patience_ns == NEVER and self.deadline_ns != NEVER:
                    self.patience_ns = now + (max(0, self.deadline_ns - now) >> 1)
                    self.wake_keeper(self.patience_ns)
                if now < self.patience_ns:
                    return
                self.patience_ns = NEVER
                if node.running == 0 and not self.helped:
                    self.helped = self.short_of_workers = True      # its on_stop waits behind nodes that never return
                    return
            elif node.started and not node.stopped:
                node.stopped = True
                self.patience_ns = NEVER
                self.grant_hook(node, STOP_HOOK)
                continue        # it is pending now: wait for it above
            self.cursor -= 1
        if self.phase != STOPPING:
            return
        for index in range(self.node_count - 1, -1, -1):
            node = &self.nodes[index]
            if node.running > 0 or node.pending & HAS_HOOK:
                return
            if node.started and not node.stopped:
                node.stopped = True
                self.grant_hook(node, STOP_HOOK)
                return
        self.finish()

    cdef void finish(self) noexcept nogil:
        """Under the lock: the run is over; everybody leaves."""
        cdef int index
        self.phase = ENDED
        for index in range(self.node_count):
            self.refresh(&self.nodes[index])
        for index in range(self.crew_count):
            self.crews[index].bell.notify_all()
        self.keeper_bell.notify_all()

    # ======================================================================================== the keeper

    cdef int keep(self) noexcept nogil:
        """Without the GIL: fire timers and deadlines until the run has ended, or until a worker must be added."""
        cdef int64_t now
        cdef Timer* timer
        cdef int answer = KEEPER_ENDED
        self.mu.lock()
        while self.phase != ENDED:
            now = self.clock.now_ns()
            timer = self.timers.pop_due(now)
            while timer != NULL:
                self.fire(timer, now)
                timer = self.timers.pop_due(now)
            if self.phase == DRAINING and now >= self.drain_deadline_ns:
                self.timed_out = True
                self.begin_stop()
            if self.phase == STOPPING and now >= self.patience_ns:
                self.next_stop()
            if now >= self.deadline_ns and self.phase != ENDED:
                self.timed_out = True
                self.finish()
            if self.short_of_workers:
                self.short_of_workers = False
                answer = KEEPER_SHORT
                break
            if self.phase != ENDED:
                self.keeper_until_ns = self.keeper_due(now)
                if self.keeper_until_ns > now:
                    gf_wait(self.keeper_bell, self.mu, wait_limit(self.keeper_until_ns - now))
                self.keeper_until_ns = 0
        self.mu.unlock()
        return answer

    cdef void fire(self, Timer* timer, int64_t now) noexcept nogil:
        """Under the lock: a timer is due. A tick is armed again on its grid, missed ones passed over."""
        cdef NodeState* node = timer.node
        cdef int64_t missed
        poke(node.pending, node.pending | timer.bit)
        poke(node.poke, 1)
        if timer.bit == HAS_TICK:
            missed = (now - timer.due_ns) // max(node.tick_interval_ns, 1)
            self.timers.arm(timer, timer.due_ns + (missed + 1) * node.tick_interval_ns)
        self.refresh(node)

    cdef int64_t keeper_due(self, int64_t now) noexcept nogil:
        """Under the lock: when the keeper has something to do next."""
        cdef int64_t due = min(self.timers.next_due_ns(), self.deadline_ns)
        if self.phase == DRAINING:
            due = min(due, self.drain_deadline_ns)
        if self.phase == STOPPING and self.patience_ns > now:
            due = min(due, self.patience_ns)
        return due

    cdef void wake_keeper(self, int64_t due_ns) noexcept nogil:
        """Under the lock: something is due at `due_ns`, maybe before the keeper means to look (D5)."""
        if due_ns < self.keeper_until_ns:
            self.keeper_bell.notify_one()


cdef int64_t wait_limit(int64_t ns) noexcept nogil:
    """A wait that the C++ library can add to now; past it the keeper just looks again."""
    return min(ns, <int64_t>365 * 86_400 * 1_000_000_000)
