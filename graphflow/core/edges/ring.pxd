from cpython.object cimport PyObject

cdef extern from *:
    """
    #define GF_LIST_ITEMS(list) (((PyListObject *)(list))->ob_item)
    """
    PyObject** list_items "GF_LIST_ITEMS" (list items) noexcept

cdef class Ring:
    # A first-in first-out queue of references in a list whose empty slots hold None, so that the garbage collector sees
    # what is queued without a traverse function of our own. Every field is guarded by the owner's lock (an edge's, or
    # the single worker inside a node for its outbox).
    cdef list slots
    cdef PyObject** cells       # the slots' storage; the list is never resized, so this stays
    cdef Py_ssize_t head        # index of the oldest item
    cdef Py_ssize_t count       # items held
    cdef Py_ssize_t mask        # len(slots) - 1, a power of two less one

    cdef inline Py_ssize_t size(self) noexcept:
        return self.mask + 1

    cdef inline PyObject** at(self, Py_ssize_t position) noexcept:
        """The slot of the item at `position` behind the head."""
        return &self.cells[(self.head + position) & self.mask]

    cdef inline void push(self, PyObject** held) noexcept:
        """Swap the reference in `held` into the tail slot; `held` gets the None that lay there. Needs a free slot."""
        cdef PyObject** slot = &self.cells[(self.head + self.count) & self.mask]
        cdef PyObject* empty = slot[0]
        slot[0] = held[0]
        held[0] = empty
        self.count += 1

    cdef inline void pop(self, PyObject** held) noexcept:
        """Swap the oldest item into `held`, which must own a reference to None. Needs an item."""
        cdef PyObject** slot = &self.cells[self.head]
        cdef PyObject* item = slot[0]
        slot[0] = held[0]
        held[0] = item
        self.head = (self.head + 1) & self.mask
        self.count -= 1

    cdef inline void drop_empty(self, Py_ssize_t count) noexcept:
        """The oldest `count` slots hold None already: they are free."""
        self.head = (self.head + count) & self.mask
        self.count -= count

    cdef void adopt(self, Ring larger) noexcept
    cdef void trade(self, Ring other) noexcept

cdef Ring new_ring(Py_ssize_t at_least)
