# The one source of time for waiting, ticks and time to live: monotonic, never the wall clock.
#
# Time is handed in (every edge and dispatcher holds a Clock), so that a simulation can own it: a subclass overrides
# now_ns. It is called under locks, so an override neither waits nor touches a Python object.

from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec


cdef class Clock:
    """The machine's monotonic clock."""

    cdef int64_t now_ns(self) noexcept nogil:
        cdef timespec now
        clock_gettime(CLOCK_MONOTONIC, &now)
        return <int64_t>now.tv_sec * 1_000_000_000 + now.tv_nsec

    def now(self) -> float:
        """Seconds since an arbitrary start."""
        return self.now_ns() / 1e9


SYSTEM_CLOCK = Clock()


def system_clock():
    """The one that every run uses which is no simulation."""
    return SYSTEM_CLOCK
