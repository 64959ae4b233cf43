from graphflow.core.handler cimport Handler

cdef class Cell(Handler):
    # Only the worker inside the node touches it, unless said otherwise.
    cdef int left                   # of the batch of this turn
    cdef int lanes_done             # control messages that the dispatcher has not been told of
    cdef bint cut                   # the turn was cut for something more urgent
    cdef bint may_emit              # a hook that may emit is running
    cdef readonly bint over         # the run has ended: nothing may be emitted any more (set by the keeper)
    cdef bint has_start, has_drain, has_stop   # hooks that the node overrides

    cdef int turn(self) except -1
    cdef int crash(self, object error) except -1
    cdef int run(self) except -1
    cdef int hook(self) except -1
    cdef int start_hook(self) except -1
    cdef int drain_hook(self) except -1
    cdef int stop_hook(self) except -1
    cdef int refuse_coroutine(self, object result, str hook) except -1
