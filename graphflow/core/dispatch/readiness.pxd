from graphflow.core.dispatch.state cimport CallBook, Crew, Group, InletState, NodeState, Phase, Timer
from graphflow.core.dispatch.timers cimport TimerHeap
from graphflow.core.metrics.histogram cimport Timed
from graphflow.core.metrics.recorder cimport Recorder
from graphflow.core.sync.clock cimport Clock
from graphflow.core.sync.lock cimport DEBUG, Bell, Lock
from libc.stdint cimport int64_t

cdef class Readiness:
    cdef Lock mu
    # ---- guarded by mu -----------------------------------------------------------------------------------------
    cdef Phase phase
    cdef NodeState* nodes
    cdef int node_count
    cdef Crew* crews
    cdef int crew_count
    cdef Group* groups
    cdef int group_count
    cdef int* after             # the arrays that Group.after points into
    cdef int groups_left        # unfinished
    cdef int busy_nodes
    cdef int open_inputs        # exposed inputs that are not closed
    cdef Group* to_check        # groups whose state has changed
    cdef int cursor             # node whose on_start (up) or on_stop (down) is next
    cdef int phases_new         # bits of the phases that have begun and were not asked for yet: see new_phases()
    cdef bint drain_wanted      # asked for while starting
    cdef bint stop_wanted
    cdef bint timed_out         # a deadline cut the drain or the stop short
    cdef TimerHeap timers
    cdef int64_t drain_deadline_ns
    cdef int64_t deadline_ns
    cdef int64_t patience_ns    # when a stop passes over a node that is still inside a hook
    cdef bint impatient         # the stop has passed over a node inside a hook: coroutines are cancelled
    cdef bint helped            # a worker was added for the stop
    cdef bint short_of_workers  # a stop hook is due and every worker is inside a node
    cdef int64_t keeper_until_ns
    cdef Bell keeper_bell
    cdef Bell linger_bell       # rung, for all, when one that rests in sleep() may have to end: see Lifecycle.linger
    cdef Bell* rung             # rung in this section: its waiter is woken after it
    cdef int tickers            # nodes that keep a running graph alive by their ticks
    cdef Recorder recorder
    cdef Timed* latency         # from a node's being queued to a worker's entering it
    cdef int64_t watch_due_ns   # when the watchdog looks next; NEVER while nobody is busy
    # ---- fixed once the run begins -------------------------------------------------------------------------------
    cdef Clock clock
    cdef int batch
    cdef int64_t watch_ns       # between two looks of the watchdog, 0 for none

    cdef inline void unlock(self) noexcept nogil:
        cdef Bell* rung = self.rung
        if DEBUG:
            self.check_invariants()
        if rung != NULL:
            self.rung = NULL
            self.mu.unlock()
            rung.wake()
        else:
            self.mu.unlock()

    cdef inline void ring_bell(self, Bell* bell) noexcept nogil:
        # Under the lock: one waiter goes on. It is woken after the lock (of several bells or rings in one section only
        # the last; the others at once). What it waits for is set by then, and who is on the way to sleep looks at that
        # under the lock first, so no ring is lost. The bell is still there: whoever rings has a reference to the run.
        bell.ring()
        self.wake_rung()
        self.rung = bell

    cdef inline void wake_rung(self) noexcept nogil:
        # Under the lock, before it is let go otherwise than by unlock().
        if self.rung != NULL:
            self.rung.wake()
            self.rung = NULL

    cdef void set_timer(self, NodeState* node, Timer* timer, int bit) noexcept

    # Under the lock.
    cdef void check_invariants(self) noexcept nogil
    cdef void refresh(self, NodeState* node) noexcept nogil
    cdef int ready_bits(self, NodeState* node, int inside) noexcept nogil
    cdef void stamp(self, NodeState* node, int level, int ready) noexcept nogil
    cdef int allowed(self, NodeState* node) noexcept nogil
    cdef int book_allows(self, CallBook* book) noexcept nogil
    cdef int level_of(self, NodeState* node, int ready) noexcept nogil
    cdef void count_busy(self, NodeState* node) noexcept nogil
    cdef void watch_from_now(self) noexcept nogil
    cdef void begin_phase(self, Phase phase) noexcept nogil
    cdef bint is_ending(self, NodeState* node) noexcept nogil
    cdef void wake(self, Crew* crew) noexcept nogil
    cdef void ring(self, Crew* crew) noexcept nogil
    cdef void alert_loops(self) noexcept nogil
    cdef void list_inlet(self, InletState* inlet, bint control) noexcept nogil
    cdef bint take_inlet(self, NodeState* node, InletState** inlet, bint source) noexcept nogil
    cdef bint banded(self, Crew* crew) noexcept nogil
    cdef void check_later(self, Group* group) noexcept nogil
    cdef void wake_keeper(self, int64_t due_ns) noexcept nogil
    cdef bint untold(self, NodeState* node) noexcept nogil
    cdef bint any_untold(self) noexcept nogil
