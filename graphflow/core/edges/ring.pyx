# Storage of queued references.
#
# Items move in and out by swapping references, never by counting them: a put swaps its item with the slot's None, a get
# swaps its None with the slot's item. So nothing is allocated, freed or finalised while the owner's lock is held, and
# what a call displaced is released after it.
#
# Growing: the owner makes a larger Ring with no lock held, looks again under its lock, and lets the old ring adopt the
# larger one's storage; the larger ring, now holding the outgrown list, is dropped after the lock.

from cpython.list cimport PyList_GET_SIZE

cdef extern from *:
    """
    #define GF_SWAP_STORAGE(a, b) do { std::swap((a)->slots, (b)->slots); std::swap((a)->cells, (b)->cells); \
                                       std::swap((a)->mask, (b)->mask); } while (0)
    """
    void GF_SWAP_STORAGE(Ring a, Ring b) noexcept


cdef class Ring:
    """A queue of references; see the declarations for its fields."""

    def __cinit__(self, Py_ssize_t size):
        self.slots = [None] * size
        self.cells = list_items(self.slots)
        self.mask = PyList_GET_SIZE(self.slots) - 1

    cdef void adopt(self, Ring larger) noexcept:
        """Take over the empty storage of `larger`, items in order; `larger` is left with ours, emptied."""
        cdef Py_ssize_t position
        cdef PyObject** here
        for position in range(self.count):
            here = self.at(position)
            here[0], larger.cells[position] = larger.cells[position], here[0]
        self.head = 0
        GF_SWAP_STORAGE(self, larger)

    cdef void trade(self, Ring other) noexcept:
        """Swap everything with `other`."""
        GF_SWAP_STORAGE(self, other)
        self.head, other.head = other.head, self.head
        self.count, other.count = other.count, self.count

cdef Ring new_ring(Py_ssize_t at_least):
    """An empty ring with room for `at_least` items; sizes are powers of two."""
    cdef Py_ssize_t size = 1
    while size < at_least:
        size *= 2
    return Ring(size)
