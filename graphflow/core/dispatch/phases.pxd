from graphflow.core.dispatch.backoff cimport Rests
from graphflow.core.dispatch.state cimport Group, Hook, NodeState, Timer
from libc.stdint cimport int64_t

cdef enum Errand:
    # What the keeper must do outside the core.
    LEAVE           # the run has ended
    ADD_WORKER      # a stop hook is due and every worker is inside a node
    LOOK            # the watchdog's look is due
    TELL            # a phase has begun that the log is to tell of
    WAIT            # nothing now: wait for the keeper's bell, but not past keeper_until_ns

cdef class Lifecycle(Rests):
    # With the GIL (or attached); each takes the lock.
    cdef void begin(self) noexcept
    cdef void hook_done(self, NodeState* node, Hook hook, bint failed) noexcept
    cdef int take_new_phases(self) noexcept
    cdef void request_stop(self, bint drain, int64_t drain_deadline_ns, int64_t deadline_ns) noexcept

    # Without the GIL; each takes the lock.
    cdef Errand keep(self) noexcept nogil
    cdef bint linger(self, NodeState* node, int64_t until_ns) noexcept nogil

    # Under the lock.
    cdef Errand next_errand(self) noexcept nogil
    cdef void meet_deadlines(self, int64_t now) noexcept nogil
    cdef void retire(self, NodeState* node) noexcept nogil
    cdef void grant_hook(self, NodeState* node, Hook hook) noexcept nogil
    cdef void next_start(self) noexcept nogil
    cdef void open_run(self) noexcept nogil
    cdef void check_groups(self) noexcept nogil
    cdef bint check(self, Group* group) noexcept nogil
    cdef void begin_drain(self) noexcept nogil
    cdef void cut_rests_short(self) noexcept nogil
    cdef void begin_stop(self) noexcept nogil
    cdef void next_stop(self) noexcept nogil
    cdef void finish(self) noexcept nogil
    cdef void fire(self, Timer* timer, int64_t now) noexcept nogil
    cdef int64_t keeper_due(self, int64_t now) noexcept nogil
