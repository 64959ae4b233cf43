# Which queued items may have a given key: chains of sequence numbers by hash, newest first.
#
# It compares no keys (that would run a user's __eq__ under the edge's lock) and removes nothing: items leave a queue at
# its head only, so a chain that has reached a sequence number below the head is at its end. The queue rebuilds the
# index when its storage grows or when expiry takes items out of the middle.

from cpython.mem cimport PyMem_Free, PyMem_Malloc

cdef extern from *:
    """
    #define GF_SWAP_INDEX(a, b) do { std::swap((a)->newest, (b)->newest); std::swap((a)->older, (b)->older); \
                                     std::swap((a)->mask, (b)->mask); } while (0)
    """
    void GF_SWAP_INDEX(KeyIndex a, KeyIndex b) noexcept


cdef class KeyIndex:
    """See the declarations for the fields."""

    def __cinit__(self, Py_ssize_t size):
        self.newest = <int64_t*>PyMem_Malloc(size * sizeof(int64_t))
        self.older = <int64_t*>PyMem_Malloc(size * sizeof(int64_t))
        if self.newest == NULL or self.older == NULL:
            raise MemoryError
        self.mask = size - 1
        self.clear()

    def __dealloc__(self):
        PyMem_Free(self.newest)
        PyMem_Free(self.older)

    cdef void clear(self) noexcept:
        cdef Py_ssize_t bucket
        for bucket in range(self.mask + 1):
            self.newest[bucket] = -1

    cdef void adopt(self, KeyIndex other) noexcept:
        """Take the other's (empty) arrays; the other gets ours and frees them."""
        GF_SWAP_INDEX(self, other)


cdef KeyIndex new_index(Py_ssize_t size):
    """An empty index for a ring of `size` slots (a power of two)."""
    return KeyIndex(size)
