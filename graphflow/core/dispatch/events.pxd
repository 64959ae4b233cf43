from graphflow.core.dispatch.in_flight cimport Calls
from graphflow.core.dispatch.state cimport InletState, NodeState
from libc.stdint cimport int64_t

cdef class Notices(Calls):
    # With the GIL (or attached); each takes the lock.
    cdef void arrived(self, InletState* inlet, bint control) noexcept
    cdef void room(self, NodeState* node) noexcept
    cdef void outlet_closed(self, NodeState* node, bint* known) noexcept
    cdef void open_input(self, InletState* inlet) noexcept
    cdef void input_closed(self, InletState* inlet) noexcept
    cdef void expect_room(self, NodeState* node, int64_t after_ns) noexcept
    cdef void tick_in(self, NodeState* node, int64_t after_ns) noexcept

    cdef void inlet_left(self, InletState* inlet, bint control) noexcept
    cdef void set_outbox(self, NodeState* node, bint data, bint control, int level) noexcept
    cdef void source_ended(self, NodeState* node) noexcept
    cdef void set_producing(self, NodeState* node, bint producing) noexcept
    cdef void set_held(self, NodeState* node, bint held, bint control_held, int masks, int level) noexcept

    cdef void stop_node(self, NodeState* node) noexcept
    cdef void set_paused(self, NodeState* node, bint paused) noexcept
    cdef void set_outlet_band(self, NodeState* node, int band) noexcept
    cdef void set_band(self, InletState* inlet, int band) noexcept

    # Under the lock.
    cdef void noted(self, NodeState* node) noexcept nogil
