# Faults on purpose, in sanitizer builds only: a sanitizer that does not report these looks at nothing.

from libc.stdlib cimport free, malloc

cdef long counter = 0


def race(long times):
    """Change a number that other threads change, without a lock."""
    global counter
    cdef long _
    with nogil:
        for _ in range(times):
            counter += 1


def overflow(int place):
    """Write past the end of eight bytes, if `place` is more than 7."""
    cdef volatile char* bytes = <volatile char*>malloc(8)     # volatile: the store must not be left out
    bytes[place] = 1
    free(<void*>bytes)
