from graphflow.core.cells.call cimport Call
from graphflow.core.cells.in_flight cimport StagedCell
from graphflow.core.messages.message cimport Message
from libc.stdint cimport int64_t

cdef class Flight:
    # A hook of an async node, as a coroutine on the event loop. Touched on the loop's thread alone.
    cdef FlightCell cell
    cdef Call call                  # what it handles; None for a hook of the life cycle and for a source
    cdef str hook
    cdef int64_t number             # among the hooks of its node
    cdef Message message            # what is emitted inherits its headers
    cdef int level
    cdef object steps               # the coroutine that sees the hook through
    cdef object body                # the user's own coroutine or generator, for the look of a watchdog
    cdef object task
    cdef object gate                # a future, while it waits for room or for leave to go on
    cdef bint cancelled             # by the run
    cdef bint begun                 # its first step has run
    cdef object doomed              # what was thrown in before that
    cdef bint inside                # it holds a place inside the node, as a worker would

    cdef object step(self, object call, object argument)
    cdef int cancel(self, bint again) except -1
    cdef bint given_up(self, object error) except -1
    cdef int check_doom(self) except -1
    cdef int leave(self) except -1
    cdef bint sends_at_once(self) noexcept

cdef class FlightCell(StagedCell):
    cdef object loop                # None before the loop's thread runs
    cdef unsigned long loop_thread  # where it runs; read by the watchdog
    cdef set flights                # under way

    cdef Flight launch(self, str hook, Call call, object steps, bint inside)
    cdef int progress(self, Flight flight) except -1
    cdef bint must_park(self, Flight flight, Py_ssize_t outbox) noexcept
    cdef int cancel_flights(self) except -1

cdef int open_gate(Flight flight) except -1
