from graphflow.core.lease cimport LeasedQueue
from graphflow.core.waiter cimport Wait, Waiter
from libc.stdint cimport int64_t

cdef class Edge(LeasedQueue):
    cdef readonly str id
    cdef readonly str source_node
    cdef readonly str source_port
    cdef readonly str target_node
    cdef readonly str target_port
    cdef readonly object ttl_s
    cdef object __weakref__

    cdef object mismatch(self, object payload)
    cdef int expire_now(self) except -1
    cdef int check_put_policy(self, object policy) except -1
    cdef int sleep(self, Waiter waiter, int64_t timeout, int64_t until) except -1
    cdef int refuse_worker(self, str call, str instead) except -1
    cdef object prepare(self, object item)
    cdef bint crowded(self, object held) noexcept
    cdef int offer(
        self, object held, bint control, object policy, Wait* wait, bint want_room, bint strict
    ) except -1
    cdef int offer_custom(self, object held, object policy, Wait* wait, bint want_room) except -1
    cdef int wait_put(self, object held, bint control, int64_t timeout) except -1
    cdef object wait_get(self, int64_t timeout)
