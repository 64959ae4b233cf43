from graphflow.core.dispatch.state cimport Crew, NodeState

cdef void ready_push(Crew* crew, NodeState* node, int level, bint front) noexcept nogil
cdef void ready_remove(Crew* crew, NodeState* node) noexcept nogil
cdef NodeState* ready_pick(Crew* crew) noexcept nogil
