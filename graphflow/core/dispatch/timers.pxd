from graphflow.core.dispatch.state cimport Timer
from libc.stdint cimport int64_t

cdef class TimerHeap:
    # Guarded by the dispatcher's lock.
    cdef Timer** heap
    cdef Py_ssize_t count
    cdef Py_ssize_t room

    cdef void arm(self, Timer* timer, int64_t due_ns) noexcept nogil
    cdef void disarm(self, Timer* timer) noexcept nogil
    cdef Timer* pop_due(self, int64_t now_ns) noexcept nogil
    cdef int64_t next_due_ns(self) noexcept nogil
    cdef void up(self, Py_ssize_t place) noexcept nogil
    cdef void down(self, Py_ssize_t place) noexcept nogil
    cdef void place_at(self, Py_ssize_t place, Timer* timer) noexcept nogil

cdef enum:
    NEVER = 0x7FFFFFFFFFFFFFFF
