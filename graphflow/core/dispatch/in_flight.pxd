from graphflow.core.dispatch.phases cimport Lifecycle
from graphflow.core.dispatch.state cimport CallState, InletState, NodeState
from libc.stdint cimport int64_t

cdef class Calls(Lifecycle):
    # With the GIL (or attached); each takes the lock.
    cdef void open_call(self, NodeState* node, CallState* call, InletState* inlet, bint control) noexcept
    cdef void claim_done(self, NodeState* node) noexcept
    cdef bint end_call(self, NodeState* node, CallState* call, bint control) noexcept
    cdef CallState* next_leaver(self, NodeState* node) noexcept
    cdef bint rest(self, NodeState* node, CallState* call, int64_t due_ns) noexcept
    cdef CallState* take_rested(self, NodeState* node, bint any_time) noexcept

    cdef void outgrow(self, NodeState* node, CallState* call) noexcept
    cdef CallState* begin_stream(self, NodeState* node) noexcept
    cdef CallState* first_stream(self, NodeState* node) noexcept

    # Under the lock.
    cdef void add_stream(self, NodeState* node, CallState* call) noexcept nogil
    cdef void end_stream(self, NodeState* node, CallState* call) noexcept nogil
    cdef void show_streams(self, NodeState* node) noexcept nogil
    cdef void add_leaver(self, NodeState* node, CallState* call) noexcept nogil
