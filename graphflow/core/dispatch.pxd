from graphflow.core.calls cimport Calls
from graphflow.core.recorder cimport EventKind
from graphflow.core.state cimport Crew, InletState, NodeState, Stint, Work
from libc.stdint cimport int64_t

cdef class Dispatch(Calls):
    # With the GIL (or attached); each takes the lock.
    cdef void arrived(self, InletState* inlet, bint control) noexcept
    cdef void room(self, NodeState* node) noexcept
    cdef void open_input(self, InletState* inlet) noexcept
    cdef void input_closed(self, InletState* inlet) noexcept
    cdef void tick_in(self, NodeState* node, int64_t after_ns) noexcept
    cdef void expect_room(self, NodeState* node, int64_t after_ns) noexcept
    cdef NodeState* next_turn(self, Crew* crew, bint woken, Stint* me) noexcept
    cdef Work choose(self, NodeState* node, InletState** inlet, int* quantum, int lanes_done, bint first) noexcept
    cdef void inlet_left(self, InletState* inlet, bint control) noexcept
    cdef void set_outbox(self, NodeState* node, bint data, bint control, int level) noexcept
    cdef void source_ended(self, NodeState* node) noexcept
    cdef void set_held(self, NodeState* node, bint held, bint control_held, int masks, int level) noexcept
    cdef void end_turn(
        self, NodeState* node, bint cut, int batch_left, int lanes_done, Stint* me
    ) noexcept
    cdef void turn_carried(self, NodeState* node, Stint* me) noexcept
    cdef void note(self, EventKind kind, NodeState* node, int detail) noexcept
    cdef void set_producing(self, NodeState* node, bint producing) noexcept
    cdef void stop_node(self, NodeState* node) noexcept
    cdef void set_paused(self, NodeState* node, bint paused) noexcept
    cdef void set_outlet_band(self, NodeState* node, int band) noexcept
    cdef void set_band(self, InletState* inlet, int band) noexcept

    cdef bint doze(self, Crew* crew, Stint* me) noexcept
    cdef bint roused(self, Crew* crew) noexcept

    # Without the GIL; takes the lock.
    cdef bint sleep(self, Crew* crew, Stint* me) noexcept nogil

    # Under the lock.
    cdef bint lies_down(self, Crew* crew, Stint* me) noexcept nogil
    cdef bint may_rise(self, Crew* crew) noexcept nogil
    cdef void rise(self, Crew* crew) noexcept nogil
    cdef void enter(self, NodeState* node, Stint* me) noexcept nogil
    cdef void leave_turn(self, NodeState* node) noexcept nogil
    cdef void take_role(self, NodeState* node, Work work) noexcept nogil
    cdef void noted(self, NodeState* node) noexcept nogil
    cdef void count_lanes(self, NodeState* node, int done) noexcept nogil
    cdef bint owes_banded(self, NodeState* node, bint others) noexcept nogil
    cdef void take_lane(self, NodeState* node, InletState** inlet) noexcept nogil
