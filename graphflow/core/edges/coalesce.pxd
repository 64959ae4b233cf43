from graphflow.core.edges.queue cimport EdgeQueue
from graphflow.core.sync.parking cimport Wait

cdef int conflate(EdgeQueue queue, object held, object policy, Wait* wait, bint want_room, bint strict) except -1
