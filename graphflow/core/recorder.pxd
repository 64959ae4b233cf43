# The latest events of a run. See recorder.pyx.
from libc.stdint cimport int16_t, int64_t

cdef enum EventKind:
    TURN_BEGINS         # detail: the level it was picked at
    TURN_ENDS           # detail: 1 if it was cut for something more urgent
    PARK                # a worker goes to sleep
    WAKE                # and is up again
    TICK                # a node's tick became due
    CONTROL             # a node is given control messages
    NODE_ERROR
    PHASE               # detail: the Phase that begins
    STALL

cdef struct Event:
    int64_t at_ns
    int node            # -1: none
    int16_t worker      # -1: none of them
    char kind
    char detail

cdef class Recorder:
    # Guarded by the dispatcher's lock.
    cdef Event* ring
    cdef Py_ssize_t size
    cdef Py_ssize_t place       # where the next one goes
    cdef int64_t written

    cdef void note(self, EventKind kind, int64_t at_ns, int worker, int node, int detail) noexcept nogil
