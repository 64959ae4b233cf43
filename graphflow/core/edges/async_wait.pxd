from libc.stdint cimport int64_t

from graphflow.core.edges.edge cimport Edge
from graphflow.core.sync.parking cimport Waiter

cdef class Awaited(Waiter):
    # One call of a coroutine that may have to wait. Everything but the wait is used by the loop's thread alone.
    cdef Edge edge
    cdef object loop
    cdef public object future   # what the coroutine is suspended on, None while it runs
    cdef int64_t limit_ns       # -1: for ever
    cdef int64_t until_ns
    cdef bint begun
    cdef bint done              # it has its answer, or was withdrawn

    cdef int ask_loop(self) except -1
    cdef bint listed(self) noexcept
    cdef bint late(self) noexcept

cdef class AwaitedPut(Awaited):
    cdef object held            # the item as the edge stores it
    cdef bint control

    cdef int look(self) except -1
    cdef int out_of_time(self) except -1

cdef class AwaitedGet(Awaited):
    cdef object look(self)
