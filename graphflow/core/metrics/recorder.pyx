# The flight recorder: a ring of the latest scheduler events, written under the dispatcher's lock, which whoever has
# something to record holds already. An event is 16 bytes and costs no look at the clock: a worker looks once a turn,
# when it ends, and the next turn begins then unless the worker sleeps between.
#
# Under load there are millions of turns a second, and what led to a stall is seconds old when the watchdog speaks. So
# turns and sleeps that come faster than the ring can hold for `span_ns` are left out, whole (their end with their
# beginning) and evenly over time; what no worker does often (errors, control messages, ticks) has a share of its own,
# and phases and stalls are always kept. The turn or sleep that a worker is in is known whatever was left out or has
# been overwritten: it is in the worker's row.

from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.stdint cimport int16_t, int64_t


cdef class Recorder:
    """The latest events, in `bytes` of memory: those of the last `span_ns` at least. Without room none is kept."""

    def __cinit__(self, Py_ssize_t bytes, int row_count, int64_t span_ns):
        self.size = bytes // sizeof(Event)
        self.row_count = row_count
        self.span_ns = span_ns
        # In any time of span_ns there are at most (span_ns + what may be ahead) / spacing_ns, which is the ring's size.
        self.spacing_ns = span_ns // max(self.size, 1) * 3 // 2 + 1
        self.ring = <Event*>PyMem_Calloc(max(self.size, 1), sizeof(Event))
        self.rows = <Row*>PyMem_Calloc(max(row_count, 1), sizeof(Row))
        if self.ring == NULL or self.rows == NULL:
            raise MemoryError

    def __dealloc__(self):
        PyMem_Free(self.ring)
        PyMem_Free(self.rows)

    cdef void note(self, EventKind kind, int64_t at_ns, int worker, int node, int detail) noexcept nogil:
        """Under the lock: keep an event, over the oldest if the ring is full, or leave it out."""
        cdef Event event
        cdef Row* row
        if self.size == 0:
            return
        event.at_ns = at_ns
        event.node = node
        event.worker = <int16_t>worker
        event.kind = <char>kind
        event.detail = <char>detail
        if kind <= WAKE and 0 <= worker < self.row_count:
            row = &self.rows[worker]
            if kind == TURN_BEGINS or kind == PARK:
                row.began = event
                row.number = self.written
                row.doing = True
                row.left_out = not self.has_time(at_ns, 2, self.span_ns // 4)
            else:
                row.doing = False
            if row.left_out:
                self.left_out += 1
                return
        elif kind < PHASE and not self.has_time(at_ns, 1, self.span_ns // 2):
            self.left_out += 1
            return
        self.keep(event)

    cdef void keep(self, Event event) noexcept nogil:
        """Under the lock."""
        self.ring[self.place] = event
        self.place = self.place + 1 if self.place + 1 < self.size else 0
        self.written += 1

    cdef bint has_time(self, int64_t at_ns, int events, int64_t ahead_ns) noexcept nogil:
        """Under the lock: may as many more be kept, at most `ahead_ns` before their time? They then count."""
        if self.due_ns < at_ns:
            self.due_ns = at_ns
        if self.due_ns - at_ns > ahead_ns:
            return False
        self.due_ns += events * self.spacing_ns
        return True
