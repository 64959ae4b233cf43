from libc.stdint cimport int64_t

cdef class Clock:
    cdef int64_t now_ns(self) noexcept nogil

cdef Clock SYSTEM_CLOCK
