# One message or tick that a node with a call book is at; see dispatch/in_flight.pyx.

from graphflow.core.dispatch.state cimport LANE_LEVEL
from graphflow.core.messages.message cimport Message


cdef class Call:
    """One message or tick in the hands of a node; see the declarations."""


cdef Call new_call(str hook, Message message, str port, int level, bint stages):
    cdef Call call = Call()
    call.state.call = <void*>call
    call.state.level = level
    call.state.place = -1
    call.state.tick = message is None
    call.hook = hook
    call.message = call.seen = message
    call.port = port
    call.control = level == LANE_LEVEL
    call.stages = stages
    call.kept = []
    return call
