# What the rest of the core asks of a run: news from the edges, turns, sleep. Each method is one critical section.
#
# Races thought of: an item arrives while its node is running (the inlet is listed and `pending` set: the worker sees it
# before it leaves, or end_turn queues the node again); room comes while the node that wants it is still in the turn
# that found the edge full (HAS_ROOM stays pending); an input closes just after a put that is not yet told of (the
# putter's store happened before the close, so check() sees the depth); the last node falls idle while shutdown() is
# called (both under mu); a stop passes a node that is inside a hook, which then returns (leave_turn looks at it again).

from libc.stdint cimport int64_t, uint64_t

from graphflow.core.calls cimport Calls
from graphflow.core.context cimport here
from graphflow.core.histogram cimport record
from graphflow.core.lock cimport acquire, poke
from graphflow.core.plants cimport planted
from graphflow.core.ready cimport ready_pick
from graphflow.core.recorder cimport CONTROL, PARK, TURN_BEGINS, TURN_ENDS, WAKE, EventKind
from graphflow.core.state cimport (
    BANDS,
    CONTROL_OUTBOX,
    CONTROL_WORK,
    CUT_WORK,
    DATA_WORK,
    ENDED,
    FLUSH_WORK,
    HAS_CONTROL,
    HAS_DATA,
    HAS_HELD,
    HAS_HOOK,
    HAS_RETRY,
    HAS_ROOM,
    HAS_SOURCE,
    HAS_TICK,
    HELD_WORK,
    HOOK_WORK,
    LANE_LEVEL,
    LANE_RUN,
    NO_WORK,
    OUTBOX,
    PAUSED,
    PRODUCING,
    RETRY_WORK,
    RUNNING,
    SOURCE_WORK,
    STARTING,
    STOPPED,
    STOPPING,
    STOP_HOOK,
    TICK_WORK,
    Crew,
    InletList,
    InletState,
    NodeState,
    Stint,
    Work,
)


cdef class Dispatch(Calls):
    """What the rest of the core asks of a run; each method is one critical section."""

    # ======================================================================================== news from the edges

    cdef void arrived(self, InletState* inlet, bint control) noexcept:
        """An edge that its node had seen empty is not any more."""
        acquire(self.mu)
        if self.phase != ENDED:         # else the node's other inlets may be gone
            self.list_inlet(inlet, control)
            self.refresh(inlet.node)
        self.unlock()

    cdef void room(self, NodeState* node) noexcept:
        """An edge that the node had seen full has room, or is closed."""
        acquire(self.mu)
        poke(node.pending, node.pending | HAS_ROOM)
        self.refresh(node)
        self.check_groups()
        self.unlock()

    cdef void open_input(self, InletState* inlet) noexcept:
        """Before the run begins: an exposed input keeps the graph alive until it is closed."""
        acquire(self.mu)
        inlet.open = True
        self.open_inputs += 1
        inlet.node.group.open_inputs += 1
        self.unlock()

    cdef void input_closed(self, InletState* inlet) noexcept:
        """An edge into the node was closed: of an exposed input nothing more will come."""
        acquire(self.mu)
        if inlet.external and inlet.open:
            inlet.open = False
            self.open_inputs -= 1
            inlet.node.group.open_inputs -= 1
            self.check_later(inlet.node.group)
            self.check_groups()
        self.unlock()

    cdef void expect_room(self, NodeState* node, int64_t after_ns) noexcept:
        """The full edge that the node waits for may lose items to their time to live in `after_ns`."""
        cdef int64_t due = self.clock.now_ns() + after_ns
        acquire(self.mu)
        if node.room.place < 0 or due < node.room.due_ns:
            self.timers.arm(&node.room, due)
            self.wake_keeper(due)
        self.unlock()

    cdef void tick_in(self, NodeState* node, int64_t after_ns) noexcept:
        """A node that has no ticks of its own asks for one; there are none any more once the graph drains."""
        cdef int64_t due = self.clock.now_ns() + after_ns
        acquire(self.mu)
        if self.phase == RUNNING and not node.masks & STOPPED:
            self.timers.arm(&node.tick, due)
            self.wake_keeper(due)
        self.unlock()

    # ======================================================================================== turns

    cdef NodeState* next_turn(self, Crew* crew, bint woken, Stint* me) noexcept:
        """The node that the calling worker enters, or NULL if nothing is ready. `woken`: it has slept, and looked at
        the clock since."""
        cdef NodeState* node
        acquire(self.mu)
        if woken:
            crew.waking -= 1
        if me.parked:
            me.parked = False
            self.recorder.note(WAKE, me.since_ns, me.worker, -1, 0)
        node = ready_pick(crew)
        if node != NULL:
            node.running += 1
            node.begun = node.turn_level < BANDS or node.batch_left > 0
            if node.batch_left == 0 and node.limit == 1:
                node.batch_left = self.batch    # where several are inside each has a batch of its own
            self.enter(node, me)
            self.refresh(node)
        self.unlock()
        return node

    cdef void enter(self, NodeState* node, Stint* me) noexcept nogil:
        """Under the lock: count a turn that begins."""
        node.turns += 1
        node.crew.turns[node.turn_level] += 1
        node.spent_ns -= <uint64_t>me.since_ns
        if node.ready_ns != 0:
            record(&self.latency.times, self.clock.now_ns() - node.ready_ns)
            node.ready_ns = 0
        self.recorder.note(TURN_BEGINS, me.since_ns, me.worker, node.index, node.turn_level)

    cdef Work choose(self, NodeState* node, InletState** inlet, int* quantum, int lanes_done, bint first) noexcept:
        """What the worker inside `node` does next, and how much of it; taken off what is pending. After the first
        choice of a turn, what is more urgent elsewhere cuts the turn."""
        cdef int ready
        cdef int banded
        cdef bint others        # does another node wait in a band?
        cdef bint owed
        cdef bint lane_retry    # is what is to be tried again a control message?
        cdef Work work = NO_WORK
        acquire(self.mu)
        self.count_lanes(node, lanes_done)
        others = self.banded(node.crew)
        poke(node.poke, 0)
        quantum[0] = node.batch_left
        ready = self.ready_bits(node, 1)
        lane_retry = ready & HAS_RETRY != 0 and node.book.resting != NULL and node.book.resting.level == LANE_LEVEL
        banded = ready & (
            HAS_TICK | HAS_DATA | HAS_SOURCE | (0 if lane_retry else HAS_RETRY) | (0 if node.control_held else HAS_HELD)
        )
        owed = banded != 0 and self.owes_banded(node, others)
        if ready != 0 and not first and node.crew.urgent > self.level_of(node, banded if owed else ready):
            work = CUT_WORK
        elif ready & HAS_HOOK:
            work = HOOK_WORK
            poke(node.pending, node.pending & ~HAS_HOOK)
        elif ready & HAS_ROOM:
            work = FLUSH_WORK
            self.timers.disarm(&node.room)
            poke(node.pending, node.pending & ~HAS_ROOM)
        elif ready & HAS_CONTROL and not owed:
            if node.crew.lane_run < LANE_RUN or not others:
                work = CONTROL_WORK     # else it is another node's turn
                self.take_lane(node, inlet)
                self.recorder.note(CONTROL, self.clock.now_ns(), here().worker, node.index, 0)
                quantum[0] = max(1, LANE_RUN - max(node.lane_run, node.crew.lane_run))
        elif ready & HAS_HELD and node.control_held:
            work = HELD_WORK
        elif lane_retry and not owed:
            if node.crew.lane_run < LANE_RUN or not others:
                work = RETRY_WORK       # in the lane like the message itself, which its node is queued for
                poke(node.pending, node.pending & ~HAS_RETRY)
        elif ready & HAS_TICK and not (planted("starving tick") and ready & HAS_DATA):
            work = TICK_WORK
            poke(node.pending, node.pending & ~HAS_TICK)
        elif others and node.turn_level == LANE_LEVEL and not owed:
            work = CUT_WORK         # its control is handled: for the rest it waits in its band
        elif ready & HAS_HELD:
            work = HELD_WORK
        elif ready & HAS_RETRY:
            work = RETRY_WORK
            poke(node.pending, node.pending & ~HAS_RETRY)
        elif ready & (HAS_DATA | HAS_SOURCE):
            work = SOURCE_WORK if self.take_inlet(node, inlet, ready & HAS_SOURCE != 0) else DATA_WORK
            if node.pending & HAS_DATA or (work == DATA_WORK and ready & HAS_SOURCE):
                quantum[0] = 1      # others share: by credit between the bands, in turn within one
        if work >= TICK_WORK and not (work == HELD_WORK and node.control_held) and not (
            work == RETRY_WORK and lane_retry
        ):
            node.lane_run = 0
            if work != TICK_WORK:
                node.begun = True
                node.ticket = 0
            if owed:
                quantum[0] = 1
                if not others:
                    node.crew.lane_run = 0
        if node.book.kept:
            self.take_role(node, work)
            quantum[0] = 1
        self.unlock()
        return work

    cdef void take_role(self, NodeState* node, Work work) noexcept nogil:
        """Under the lock: what only one worker inside a node with a call book does (C1, C4)."""
        if work == HOOK_WORK or work == HELD_WORK:
            node.book.alone = node.limit > 1        # else nobody else enters anyway
        if work == FLUSH_WORK:
            node.book.leaving = True
        elif work == CONTROL_WORK or work == TICK_WORK or work == DATA_WORK or work == HELD_WORK:
            node.book.claiming = True
        self.noted(node)

    cdef void noted(self, NodeState* node) noexcept nogil:
        """Under the lock: a worker inside changed what the node could do, which others may enter for."""
        if node.limit > 1:
            self.refresh(node)

    cdef bint owes_banded(self, NodeState* node, bint others) noexcept nogil:
        """Under the lock: is one banded thing of this node due before more control, after a long run of it? What the
        crew owes goes to the nodes that wait in the bands; to this one only if there are no others."""
        if node.crew.lane_run >= LANE_RUN:
            return not others
        return node.lane_run >= LANE_RUN

    cdef void count_lanes(self, NodeState* node, int done) noexcept nogil:
        """Under the lock: control messages were handled."""
        node.lane_run = min(node.lane_run + done, <int>LANE_RUN)
        node.crew.lane_run = min(node.crew.lane_run + done, <int>LANE_RUN)

    cdef void take_lane(self, NodeState* node, InletState** inlet) noexcept nogil:
        """Under the lock: the inlet whose control message is next."""
        inlet[0] = node.lanes.first
        node.lanes.first = inlet[0].lane_next
        inlet[0].lane_queued = False
        if node.lanes.first == NULL:
            node.lanes.last = NULL
            poke(node.pending, node.pending & ~HAS_CONTROL)

    cdef void inlet_left(self, InletState* inlet, bint control) noexcept:
        """The worker stopped taking from an edge that it has not seen empty (D2)."""
        acquire(self.mu)
        self.list_inlet(inlet, control)
        self.noted(inlet.node)
        self.unlock()

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
        self.refresh(node)
        self.unlock()

    cdef void source_ended(self, NodeState* node) noexcept:
        acquire(self.mu)
        poke(node.pending, node.pending & ~HAS_SOURCE)
        self.refresh(node)
        self.check_groups()
        self.unlock()

    cdef void set_producing(self, NodeState* node, bint producing) noexcept:
        """Whether an async source is at its next value; else it may be asked for one."""
        acquire(self.mu)
        poke(node.masks, (node.masks | PRODUCING) if producing else (node.masks & ~PRODUCING))
        self.refresh(node)
        self.unlock()

    cdef void set_held(self, NodeState* node, bint held, bint control_held, int masks, int level) noexcept:
        """Whether handlers of the node are suspended; what keeps the next of them from going on, and its level."""
        acquire(self.mu)
        poke(node.pending, (node.pending | HAS_HELD) if held else (node.pending & ~HAS_HELD))
        node.control_held = control_held
        node.held_masks = masks
        node.held_level = level
        self.noted(node)
        self.unlock()

    cdef void end_turn(
        self, NodeState* node, bint cut, int batch_left, int lanes_done, Stint* me
    ) noexcept:
        """Somebody leaves the node: the worker `me`, or a coroutine (NULL) that went on with its turn. A cut turn goes
        on at the head of its band with the rest of its batch, if that has begun."""
        cdef int64_t now = self.clock.now_ns()
        acquire(self.mu)
        node.spent_ns += <uint64_t>now
        if me != NULL:
            me.since_ns = now
            self.recorder.note(TURN_ENDS, now, me.worker, node.index, cut)
        self.count_lanes(node, lanes_done)
        cut = cut and node.limit == 1
        node.batch_left = batch_left if cut and node.begun else 0
        if cut and node.turn_level < BANDS:
            node.crew.credit[node.turn_level] += 1      # the rest of the turn is paid for
        self.leave_turn(node)
        if node.level < 0:
            node.batch_left = 0
        self.check_groups()
        self.unlock()

    cdef void turn_carried(self, NodeState* node, Stint* me) noexcept:
        """A coroutine goes on with the worker's turn: the worker is free, the place inside the node is taken still."""
        me.since_ns = self.clock.now_ns()
        acquire(self.mu)
        self.recorder.note(TURN_ENDS, me.since_ns, me.worker, node.index, 0)
        self.unlock()

    cdef void note(self, EventKind kind, NodeState* node, int detail) noexcept:
        """Keep an event that has just happened on this thread, about `node` or (NULL) the whole run."""
        cdef int64_t now = self.clock.now_ns()
        acquire(self.mu)
        self.recorder.note(kind, now, here().worker, node.index if node != NULL else -1, detail)
        self.unlock()

    cdef void leave_turn(self, NodeState* node) noexcept nogil:
        """Under the lock: one worker fewer inside."""
        node.running -= 1
        node.book.alone = False         # it was this worker's, if it was anybody's
        self.refresh(node)
        if self.phase == STOPPING:
            self.next_stop()
        elif self.phase == STARTING:
            self.next_start()

    # ======================================================================================== sleeping

    cdef bint sleep(self, Crew* crew, Stint* me) noexcept nogil:
        """Without the GIL: wait for something to be ready; False when the run has ended (D4)."""
        cdef bint alive
        self.mu.lock()
        if self.lies_down(crew, me):
            while not self.may_rise(crew):
                self.wake_rung()
                crew.bell.wait(self.mu, -1)
            self.rise(crew)
        alive = self.phase != ENDED
        self.unlock()
        return alive

    cdef bint lies_down(self, Crew* crew, Stint* me) noexcept nogil:
        """Under the lock: the worker sleeps, until may_rise() holds and it has called rise(); False: there is something
        to do."""
        if (crew.count > 0 and not planted("lost wake-up")) or self.phase == ENDED:
            crew.waking += 1        # next_turn takes it back, as from one that was woken
            return False
        crew.idle += 1
        me.parked = True
        self.recorder.note(PARK, me.since_ns, me.worker, -1, 0)
        return True

    cdef bint may_rise(self, Crew* crew) noexcept nogil:
        """Under the lock: was a worker of the crew woken, or has the run ended?"""
        return crew.permits > 0 or self.phase == ENDED

    cdef void rise(self, Crew* crew) noexcept nogil:
        """Under the lock: one worker gets up."""
        if crew.permits > 0:
            crew.permits -= 1
        else:
            crew.idle -= 1      # nobody woke it: the run has ended

    cdef bint doze(self, Crew* crew, Stint* me) noexcept:
        """For a worker that must not block, an event loop's: True if there is nothing to do, and its pipe will be
        written to when there is (D4)."""
        cdef bint dozing
        acquire(self.mu)
        dozing = self.lies_down(crew, me)
        self.unlock()
        return dozing

    cdef bint roused(self, Crew* crew) noexcept:
        """The pipe of a dozing worker was written to: True if there is a turn for it, False if only the phase has
        changed and it dozes on."""
        cdef bint woken
        acquire(self.mu)
        woken = crew.permits > 0
        if woken:
            crew.permits -= 1
        self.unlock()
        return woken

    # ======================================================================================== nodes from outside

    cdef void stop_node(self, NodeState* node) noexcept:
        """The node is stopped by its error policy, from its own turn: it gets its on_stop and empties its outbox."""
        acquire(self.mu)
        poke(node.masks, node.masks | STOPPED)
        poke(node.pending, node.pending & (HAS_ROOM | HAS_HOOK))
        self.timers.disarm(&node.tick)
        self.timers.disarm(&node.retry)
        self.retire(node)
        node.drains = False
        if node.started and not node.stopped:
            self.grant_hook(node, STOP_HOOK)
        node.stopped = True
        self.unlock()

    cdef void set_paused(self, NodeState* node, bint paused) noexcept:
        acquire(self.mu)
        if self.phase <= RUNNING:
            poke(node.masks, (node.masks | PAUSED) if paused else (node.masks & ~PAUSED))
            poke(node.poke, 1)
            self.refresh(node)
        self.unlock()

    cdef void set_outlet_band(self, NodeState* node, int band) noexcept:
        """An edge that the node may have deferred items for is now in this band."""
        acquire(self.mu)
        node.room_level = max(node.room_level, band)
        self.refresh(node)
        self.unlock()

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
        self.unlock()
