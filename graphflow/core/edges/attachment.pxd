from libc.stdint cimport int64_t

from graphflow.core.edges.batches cimport BatchQueue
from graphflow.core.edges.ends cimport EdgeEnd

cdef class LeasedQueue(BatchQueue):
    cdef int resize(self, Py_ssize_t capacity) except -1
    cdef int shut(self) except -1
    cdef int reopen(self) except -1
    cdef int measure_times(self, bint wanted) except -1
    cdef int attach(self, EdgeEnd consumer, EdgeEnd producer, int64_t owner) except -1
    cdef int detach(self) except -1
    cdef int leave(self, int64_t deferred) except -1
    cdef int clear_out(self, int64_t deferred, bint dropped) except -1
