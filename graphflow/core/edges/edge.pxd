from graphflow.core.edges.wait cimport WaitingQueue

cdef class Edge(WaitingQueue):
    cdef readonly str source_node
    cdef readonly str source_port
    cdef readonly str target_node
    cdef readonly str target_port
    cdef readonly object ttl_s
    cdef object __weakref__

    cdef int check_put_policy(self, object policy) except -1
