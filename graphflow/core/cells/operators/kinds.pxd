# What compiled steps do with a message. See kinds.pyx.
cimport cython

from graphflow.core.cells.handling cimport Handler
from graphflow.core.messages.message cimport Message
from libc.stdint cimport int64_t

cdef enum Applied:
    HANDLED                 # and so is the message
    SUSPENDED               # the node holds what is left of it

cdef class Operator:
    cdef readonly object function       # the user's; fixed

    # `in_place`: the message is nobody else's and may become its own result
    cdef int apply(self, Handler cell, Message message, bint in_place) except -1    # one of Applied
    cdef object result(self, Handler cell, object payload)      # the function's, where it is one that can be used


@cython.final
cdef class Map(Operator):
    cdef bint skips_none                # a None is no result: nothing is sent


@cython.final
cdef class Filter(Operator):
    pass


@cython.final
cdef class FlatMap(Operator):
    pass


@cython.final
cdef class Sink(Operator):
    pass


@cython.final
cdef class Batch(Operator):
    # Only the worker inside the node touches it.
    cdef readonly Py_ssize_t size       # payloads that make a batch; fixed
    cdef int64_t timeout_ns             # after which an incomplete one is sent, 0 for never; fixed
    cdef list collected
    cdef int64_t began_ns               # when the first of `collected` came
    cdef bint timed                     # a tick is on its way

    cdef list collect(self, Handler cell, object payload)
