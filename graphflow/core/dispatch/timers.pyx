# What is due when: a binary heap over timers that live in their nodes, so that arming allocates nothing.

from cpython.mem cimport PyMem_Free, PyMem_Malloc

from graphflow.core.dispatch.state cimport Timer


cdef class TimerHeap:
    """A heap with room for a fixed number of timers."""

    def __cinit__(self, Py_ssize_t room):
        self.room = room
        self.heap = <Timer**>PyMem_Malloc(max(room, 1) * sizeof(Timer*))
        if self.heap == NULL:
            raise MemoryError

    def __dealloc__(self):
        PyMem_Free(self.heap)

    cdef void arm(self, Timer* timer, int64_t due_ns) noexcept nogil:
        """Let `timer` fire at `due_ns`, instead of when it was to fire before."""
        self.disarm(timer)
        timer.due_ns = due_ns
        self.place_at(self.count, timer)
        self.count += 1
        self.up(timer.place)

    cdef void disarm(self, Timer* timer) noexcept nogil:
        cdef Py_ssize_t place = timer.place
        if place < 0:
            return
        self.count -= 1
        timer.place = -1
        if place != self.count:
            self.place_at(place, self.heap[self.count])
            self.up(place)
            self.down(place)

    cdef Timer* pop_due(self, int64_t now_ns) noexcept nogil:
        """A timer that is due, disarmed; NULL if there is none."""
        cdef Timer* timer
        if self.count == 0 or self.heap[0].due_ns > now_ns:
            return NULL
        timer = self.heap[0]
        self.disarm(timer)
        return timer

    cdef int64_t next_due_ns(self) noexcept nogil:
        return self.heap[0].due_ns if self.count > 0 else <int64_t>NEVER

    cdef void up(self, Py_ssize_t place) noexcept nogil:
        cdef Timer* timer = self.heap[place]
        cdef Py_ssize_t parent
        while place > 0:
            parent = (place - 1) >> 1
            if self.heap[parent].due_ns <= timer.due_ns:
                break
            self.place_at(place, self.heap[parent])
            place = parent
        self.place_at(place, timer)

    cdef void down(self, Py_ssize_t place) noexcept nogil:
        cdef Timer* timer = self.heap[place]
        cdef Py_ssize_t child
        while 2 * place + 1 < self.count:
            child = 2 * place + 1
            if child + 1 < self.count and self.heap[child + 1].due_ns < self.heap[child].due_ns:
                child += 1
            if self.heap[child].due_ns >= timer.due_ns:
                break
            self.place_at(place, self.heap[child])
            place = child
        self.place_at(place, timer)

    cdef void place_at(self, Py_ssize_t place, Timer* timer) noexcept nogil:
        self.heap[place] = timer
        timer.place = place
