from graphflow.core.intake cimport CheckedQueue
from graphflow.core.waiter cimport Waiter
from libc.stdint cimport int64_t

cdef class Edge(CheckedQueue):
    cdef readonly str source_node
    cdef readonly str source_port
    cdef readonly str target_node
    cdef readonly str target_port
    cdef readonly object ttl_s
    cdef object __weakref__

    cdef int expire_now(self) except -1
    cdef int check_put_policy(self, object policy) except -1
    cdef int sleep(self, Waiter waiter, int64_t timeout, int64_t until) except -1
    cdef int refuse_to_wait(self, str call, str instead) except -1
    cdef int put_prepared(self, object held, int64_t timeout) except -1
    cdef int wait_put(self, object held, bint control, int64_t timeout) except -1
    cdef object wait_get(self, int64_t timeout)
