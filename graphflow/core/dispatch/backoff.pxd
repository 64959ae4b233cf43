from graphflow.core.dispatch.readiness cimport Readiness
from graphflow.core.dispatch.state cimport CallBook, CallState, NodeState
from libc.stdint cimport int64_t

cdef class Rests(Readiness):
    # Under the lock.
    cdef void lay_down(self, CallBook* book, CallState* call) noexcept nogil
    cdef CallState* rouse(self, CallBook* book) noexcept nogil
    cdef void show_rest(self, NodeState* node) noexcept nogil
    cdef bint too_late(self, int64_t due_ns) noexcept nogil
    cdef void cut_short(self, NodeState* node) noexcept nogil

cdef CallState* joined(CallState* one, CallState* other) noexcept nogil
