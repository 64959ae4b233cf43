from graphflow.core.edges.attachment cimport LeasedQueue
from graphflow.core.messages.message cimport KIND_CONTROL, Message
from graphflow.core.sync.parking cimport Wait

cdef class CheckedQueue(LeasedQueue):
    # checks an item and gives what is stored for it, which goes to offer()
    cdef object prepare(self, object item)
    cdef object mismatch(self, object payload)
    cdef bint crowded(self, object held) noexcept
    cdef int offer(
        self, object held, bint control, object policy, Wait* wait, bint want_room, bint strict
    ) except -1
    cdef int offer_custom(self, object held, object policy, Wait* wait, bint want_room) except -1

cdef inline bint is_control(object item) noexcept:
    return type(item) is Message and (<Message>item).kind == KIND_CONTROL
