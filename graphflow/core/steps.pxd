from graphflow.core.cell cimport Cell
from graphflow.core.handler cimport Inlet
from graphflow.core.operators cimport Operator
from libc.stdint cimport int64_t

cdef class StepCell(Cell):
    # Only the worker inside the node touches it.
    cdef Operator operator          # fixed
    cdef tuple leaving              # Outlets of the only output; fixed
    cdef bint plain                 # nothing is left that could raise when a message is sent; fixed
    cdef list room                  # what has been claimed, and is not handled yet
    cdef int64_t switch_ns          # the interpreter's switch interval; fixed

    cdef int set_up(self, Operator operator) except -1
    cdef int run_batch(self, Inlet inlet, int claimed) except -1
    cdef int apply(self) except -1
    cdef int apply_timed(self) except -1
    cdef int breathe(self, int64_t now) noexcept
    cdef int clear_room(self) except -1
