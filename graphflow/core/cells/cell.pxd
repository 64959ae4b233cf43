from graphflow.core.cells.handling cimport Handler
from graphflow.core.dispatch.state cimport Stint, Work
from libc.stdint cimport int64_t

cdef struct Turn:
    # What a worker inside a node knows of its turn.
    int left                # of its batch
    int lanes_done          # control messages that the dispatcher has not been told of
    bint cut                # for something more urgent
    bint carried            # a coroutine goes on with it: the worker does not leave the node

cdef class Cell(Handler):
    # Only a worker inside the node touches it, unless said otherwise.
    cdef unsigned long thread       # of the worker that entered last; read by the watchdog
    cdef Work work                  # what it is at; read by the watchdog
    cdef bint may_emit              # False once the stop hook has begun
    cdef readonly bint over         # the run has ended: nothing may be emitted any more (set by the keeper)
    cdef bint has_start, has_drain, has_stop   # hooks that the node overrides

    cdef bint lingers               # the worker inside rests in sleep(); read by the watchdog
    cdef int64_t rests              # rests that have ended

    cdef bint linger(self, int64_t until_ns) except -1
    cdef int turn(self, Stint* me) except -1
    cdef object enter_context(self)
    cdef int leave_context(self, object entered) except -1
    cdef int keep_variables(self) except -1
    cdef int crash(self, object error) except -1
    cdef int run(self, Turn* turn) except -1
    cdef int hook(self) except -1
    cdef int start_hook(self) except -1
    cdef int drain_hook(self) except -1
    cdef int stop_hook(self) except -1
    cdef int64_t count_held(self) except -1
    cdef str hook_name(self)
