cimport cython

from graphflow.core.cells.cell cimport Cell
from graphflow.core.cells.handling cimport Inlet
from graphflow.core.cells.operators.kinds cimport Operator
from libc.stdint cimport int64_t


@cython.final
cdef class StepCell(Cell):
    # Only the worker inside the node touches it.
    cdef Operator step              # fixed
    cdef list room                  # what has been claimed, and is not handled yet
    cdef int64_t began_ns           # when the present batch did
    cdef int look                   # after which of its messages the clock is looked at

    cdef int set_up(self, Operator step) except -1
    cdef int run_batch(self, Inlet inlet, int claimed, int* done) except -1
    cdef int run_messages(self, Inlet inlet, int claimed, int* done) except -1
    cdef int pass_by(self, str port) except -1
    cdef bint batch_ends(self, int done) noexcept
    cdef int clear_room(self) except -1
