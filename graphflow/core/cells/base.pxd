from graphflow.core.cells.cell cimport Cell

cdef class NodeBase:
    cdef Cell cell              # the node's place in a live run, or None
    cdef Py_ssize_t holds       # what it says that it holds; a worker inside it sets it, anybody may read it
    cdef object __weakref__
