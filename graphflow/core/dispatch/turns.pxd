from graphflow.core.dispatch.events cimport Notices
from graphflow.core.dispatch.state cimport Crew, InletState, NodeState, Stint, Work
from graphflow.core.metrics.recorder cimport EventKind

cdef class Dispatch(Notices):
    # With the GIL (or attached); each takes the lock.
    cdef NodeState* next_turn(self, Crew* crew, bint woken, Stint* me) noexcept
    cdef Work choose(self, NodeState* node, InletState** inlet, int* quantum, int lanes_done, bint first) noexcept
    cdef void end_turn(
        self, NodeState* node, bint cut, int batch_left, int lanes_done, Stint* me
    ) noexcept
    cdef void turn_carried(self, NodeState* node, Stint* me) noexcept
    cdef void note(self, EventKind kind, NodeState* node, int detail) noexcept

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
    cdef void count_lanes(self, NodeState* node, int done) noexcept nogil
    cdef bint owes_banded(self, NodeState* node, bint others) noexcept nogil
    cdef void take_lane(self, NodeState* node, InletState** inlet) noexcept nogil
