from graphflow.core.cell cimport Cell

cdef class NodeBase:
    cdef Cell cell              # the node's place in a live run, or None
    cdef object __weakref__
