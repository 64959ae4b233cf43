from libc.stdint cimport int64_t

cdef class KeyIndex:
    # Guarded by the edge's lock. Sequence numbers count the items ever queued; those below the queue's head are dead.
    cdef int64_t* newest        # per bucket of hashes: sequence number of the newest item, -1 for none
    cdef int64_t* older         # per slot: the next older item of the same bucket
    cdef Py_ssize_t mask        # of both arrays

    cdef inline int64_t first(self, Py_hash_t hash) noexcept:
        return self.newest[<Py_ssize_t>hash & self.mask]

    cdef inline int64_t after(self, int64_t sequence) noexcept:
        return self.older[sequence & self.mask]

    cdef inline void add(self, Py_hash_t hash, int64_t sequence) noexcept:
        self.older[sequence & self.mask] = self.newest[<Py_ssize_t>hash & self.mask]
        self.newest[<Py_ssize_t>hash & self.mask] = sequence

    cdef void clear(self) noexcept
    cdef void adopt(self, KeyIndex other) noexcept

cdef KeyIndex new_index(Py_ssize_t size)
