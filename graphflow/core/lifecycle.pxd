from graphflow.core.readiness cimport Readiness
from graphflow.core.state cimport Group, Hook, NodeState, Timer
from libc.stdint cimport int64_t

cdef class Lifecycle(Readiness):
    # With the GIL (or attached); each takes the lock.
    cdef void begin(self) noexcept
    cdef void hook_done(self, NodeState* node, Hook hook, bint failed) noexcept
    cdef void request_stop(self, bint drain, int64_t drain_deadline_ns, int64_t deadline_ns) noexcept

    # Without the GIL; takes the lock.
    cdef bint keep(self) noexcept nogil

    # Under the lock.
    cdef void grant_hook(self, NodeState* node, Hook hook) noexcept nogil
    cdef void next_start(self) noexcept nogil
    cdef void open_run(self) noexcept nogil
    cdef void check_groups(self) noexcept nogil
    cdef bint check(self, Group* group) noexcept nogil
    cdef void begin_drain(self) noexcept nogil
    cdef void begin_stop(self) noexcept nogil
    cdef void next_stop(self) noexcept nogil
    cdef void finish(self) noexcept nogil
    cdef void fire(self, Timer* timer, int64_t now) noexcept nogil
    cdef int64_t keeper_due(self, int64_t now) noexcept nogil
