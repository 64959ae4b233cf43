from graphflow.core.queue cimport EdgeQueue
from graphflow.core.waiter cimport Wait

cdef int conflate(EdgeQueue queue, object held, object policy, Wait* wait, bint want_room, bint strict) except -1
