# Turns and sleep: which node a worker enters, what it does there, and when it lies down. Each method is one critical
# section.
#
# Races thought of: the last node falls idle while shutdown() is called (both under mu); a stop passes a node that is
# inside a hook, which then returns (leave_turn looks at it again); a worker lies down as a node is queued (D4: it looks
# in the section in which it lies down). Those of news are in events.pyx.

from libc.stdint cimport int64_t, uint64_t

from graphflow.core.dispatch.events cimport Notices
from graphflow.core.dispatch.ready_queue cimport ready_pick
from graphflow.core.dispatch.state cimport (
    BANDS,
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
    RETRY_WORK,
    SOURCE_WORK,
    STARTING,
    STOPPING,
    TICK_WORK,
    Crew,
    InletState,
    NodeState,
    Stint,
    Work,
)
from graphflow.core.metrics.histogram cimport record
from graphflow.core.metrics.recorder cimport CONTROL, PARK, TURN_BEGINS, TURN_ENDS, WAKE, EventKind
from graphflow.core.sync.lock cimport acquire, poke
from graphflow.core.sync.mutants cimport planted
from graphflow.core.sync.thread_state cimport here


cdef class Dispatch(Notices):
    """What workers ask of a run; see the declarations."""

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
        banded = in_bands(node, ready, lane_retry)
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
            banded_begins(node, work, owed, others, quantum)
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
        self.recorder.note(CONTROL, self.clock.now_ns(), here().worker, node.index, 0)
        inlet[0] = node.lanes.first
        node.lanes.first = inlet[0].lane_next
        inlet[0].lane_queued = False
        if node.lanes.first == NULL:
            node.lanes.last = NULL
            poke(node.pending, node.pending & ~HAS_CONTROL)

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
        if cut and node.turn_level < BANDS and not planted("turn paid twice"):
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


cdef inline int in_bands(NodeState* node, int ready, bint lane_retry) noexcept nogil:
    """Under the lock: which of the ready bits wait in a band, and not above them."""
    return ready & (
        HAS_TICK | HAS_DATA | HAS_SOURCE | (0 if lane_retry else HAS_RETRY) | (0 if node.control_held else HAS_HELD)
    )


cdef inline void banded_begins(NodeState* node, Work work, bint owed, bint others, int* quantum) noexcept nogil:
    """Under the lock: something of a band begins, which ends the node's run of control messages."""
    node.lane_run = 0
    if work != TICK_WORK:
        node.begun = True
        node.ticket = 0
    if owed:
        quantum[0] = 1
        if not others:
            node.crew.lane_run = 0
