from graphflow.core.cells.outbox cimport Sender
from graphflow.core.messages.message cimport Message
from libc.stdint cimport int64_t

cdef class Faults(Sender):
    # Only a worker inside the node touches it, unless said otherwise.
    cdef readonly object node
    cdef object hooks               # what has the node's hooks: the node, or what a simulation puts before it; fixed
    cdef object error_policy        # graphflow.ErrorPolicy; fixed
    cdef bint has_on_error          # the node defines it; fixed
    # counters: atomic, as several workers may be inside; read by anybody
    cdef readonly int64_t failed        # messages that were given up
    cdef readonly int64_t dead_lettered  # messages that left as dead letters
    cdef readonly int64_t retries
    cdef readonly int64_t error_count
    cdef readonly list errors       # the first ERRORS_KEPT; the one that stopped the graph in place of the last

    cdef int fail(
        self, str hook, object error, Message message, str port, bint governed, int attempts=*
    ) except -1
    cdef int stand(
        self, str hook, object error, Message message, str port, bint governed, int attempts
    ) except -1
    cdef bint is_fatal(self, str hook, object error, Message message, str port) except -1
    cdef int end_graph(self, str hook, object error, Message message=*, str port=*) except -1
    cdef int stop_graph(self, object error) except -1
    cdef int fail_on_error(self, object error, Message message) except -1
    cdef int tell_on_error(self, object error, Message message) except -1
    cdef int note_error(self, str hook, object error, Message message=*, str port=*) except -1
    cdef bint govern(self, object error, Message message, str port, int attempts) except -1
    cdef bint dead_letter(self, str out, object error, Message message, str port, int attempts) except -1
    cdef int post(self, tuple outlets, Message letter) except -1
    cdef dict about(self, Message message, str port)
    cdef int report(self, str hook, object error, Message message=*, str port=*) except -1
    cdef int say_stopped(self, object error) except -1
    cdef int stop_here(self) except -1

cdef list prepare_letters(tuple outlets, Message letter)
cdef object release_frames(object error)
