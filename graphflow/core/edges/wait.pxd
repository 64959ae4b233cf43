from graphflow.core.edges.admission cimport CheckedQueue
from graphflow.core.sync.parking cimport Waiter
from libc.stdint cimport int64_t

cdef class WaitingQueue(CheckedQueue):
    # ---- with no lock held -----------------------------------------------------------------------------------------
    cdef int put_prepared(self, object held, int64_t timeout) except -1
    cdef int wait_put(self, object held, bint control, int64_t timeout) except -1
    cdef object wait_get(self, int64_t timeout)
    cdef int sleep(self, Waiter waiter, int64_t timeout, int64_t until) except -1
    cdef int refuse_to_wait(self, str call, str instead) except -1
