# The flight recorder: a ring of the latest scheduler events, written under the dispatcher's lock, which whoever has
# something to record holds already. An event is 16 bytes and costs no look at the clock: a worker looks once a turn,
# when it ends, and the next turn begins then unless the worker sleeps between.

from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.stdint cimport int16_t, int64_t


cdef class Recorder:
    """The latest `size` events; with size 0 none is kept."""

    def __cinit__(self, Py_ssize_t size):
        self.size = size
        self.ring = <Event*>PyMem_Calloc(max(size, 1), sizeof(Event))
        if self.ring == NULL:
            raise MemoryError

    def __dealloc__(self):
        PyMem_Free(self.ring)

    cdef void note(self, EventKind kind, int64_t at_ns, int worker, int node, int detail) noexcept nogil:
        """Under the lock: keep an event, over the oldest if the ring is full."""
        cdef Event* event
        if self.size == 0:
            return
        event = &self.ring[self.place]
        event.at_ns = at_ns
        event.node = node
        event.worker = <int16_t>worker
        event.kind = <char>kind
        event.detail = <char>detail
        self.place = self.place + 1 if self.place + 1 < self.size else 0
        self.written += 1
