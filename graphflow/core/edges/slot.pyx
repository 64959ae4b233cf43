# The wrapper that carries what some edges must know of each queued item.

cimport cython


@cython.final
@cython.freelist(256)
cdef class Entry:
    """See the declarations for the fields."""
