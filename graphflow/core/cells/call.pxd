from graphflow.core.dispatch.state cimport CallState
from graphflow.core.messages.message cimport Message
from libc.stdint cimport int64_t

cdef class Call:
    # One message or tick that a node with a call book is at. Only the thread that is at it touches it (the one that
    # runs the handler, then the one that hands on what it emitted), but for `state`, which is the dispatcher's.
    cdef CallState state
    cdef str hook               # on_message or on_tick
    cdef Message message        # None for a tick
    cdef Message seen           # the same as the handler sees it: with the headers of its span, where there is one
    cdef object span            # of the present attempt, a graphflow.runtime.tracing.HandlerSpan; None without tracing
    cdef str port               # where it came in
    cdef bint control
    cdef object variables       # the context of the present attempt, where that is not the node's; else None
    cdef bint carries           # it is handled in the context that the message brings
    cdef int attempts           # begun so far
    cdef bint resting           # between two of them
    cdef object error           # while it rests: what the attempt before raised, its frames emptied
    cdef bint stages            # what it emits is kept until it has ended
    cdef bint outgrown          # it has more to send than may be kept: not tried again any more
    cdef bint waiting           # outgrown, and no worker is at it
    cdef object generator       # what is left of it then
    cdef tuple unsent           # holds the value that found no room among those kept
    cdef object flight          # of an async node: the Flight that waits
    cdef int64_t number         # among the attempts of its node, from 1
    cdef int64_t from_ns        # when the present attempt began, if it is timed; else 0
    cdef unsigned long thread   # that runs the hook, 0 while none does; read by the watchdog
    cdef bint lingers           # its hook rests in sleep(); read by the watchdog
    cdef int64_t rests          # rests that have ended
    cdef list kept              # of (outlets, copies, control), what it emitted
    cdef Py_ssize_t before      # entries of `kept` from before this attempt

cdef Call new_call(str hook, Message message, str port, int level, bint stages)
