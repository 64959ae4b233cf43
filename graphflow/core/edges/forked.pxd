from graphflow.core.edges.contents cimport EdgeContents
from libc.stdint cimport int64_t

cdef enum:
    FORKED = 32768      # beside the Special bits: the edge was part of a run as the process forked; this is the child

cdef object forked_error(EdgeContents edge)
cdef object closed_error(EdgeContents edge, str why)
cdef void strand(int64_t token) noexcept
cdef bint is_stranded() noexcept
cdef int leave_if_stranded(object error) except -1

cdef inline int refuse_forked(EdgeContents edge) except -1:
    # What belongs to a run of the parent's is refused at once.
    if edge.special & FORKED:
        raise forked_error(edge)
    return 0
