from libc.stdint cimport int64_t

cdef class Entry:
    # What lies in a slot of an edge with a time to live, a byte bound or a key; a plain edge stores the bare item.
    # Written before it is queued and never again: a merge queues a new Entry, so identity tells "unchanged".
    cdef object item
    cdef int64_t stamp_ns       # monotonic time of the put or emit
    cdef Py_ssize_t size        # bytes, by the edge's sizeof
    cdef object key             # of the edge's keyed Coalesce, else None
    cdef Py_hash_t hash         # of the key
