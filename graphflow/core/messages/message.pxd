# What travels on edges. See message.pyx.

from graphflow.core.messages.headers cimport Headers

cdef enum:
    KIND_DATA = 0
    KIND_CONTROL = 1
    KIND_ERROR = 2


cdef class Message:
    # Every field but `_headers` is set before anybody else sees the object and never after.
    cdef object payload       # read by users through a slot, see show_payload()
    cdef object meta          # None or a mappingproxy over our own dict
    cdef Headers _headers     # None until somebody looks, then never changed
    cdef double stamp         # seconds since the epoch
    cdef int kind             # one of KIND_*
    cdef bint sealed          # __init__ has run: it does nothing from now on


# A fresh message: no headers yet, stamped now.
cdef Message make_message(int kind, object payload)

# The headers of a message, made on the first call.
cdef Headers headers_of(Message message)

# A DATA message that shares the parent's headers, so the two agree on the trace id whoever reads
# it first. Makes no id.
cdef Message make_child(object payload, Message parent)
