# The latest events of a run. See recorder.pyx.
from libc.stdint cimport int16_t, int64_t

cdef enum EventKind:
    TURN_BEGINS         # detail: the level it was picked at
    TURN_ENDS           # detail: 1 if it was cut for something more urgent
    PARK                # a worker goes to sleep
    WAKE                # and is up again
    TICK                # a node's tick became due
    CONTROL             # a node is given control messages
    NODE_ERROR
    PHASE               # detail: the Phase that begins
    STALL

cdef struct Event:
    int64_t at_ns
    int node            # -1: none
    int16_t worker      # -1: none of them
    char kind
    char detail

cdef struct Row:
    # What a worker does: a turn or a sleep, from its beginning to its end.
    Event began
    int64_t number      # of that event, if it went into the ring
    bint doing          # it has not ended
    bint left_out       # it is not in the ring, nor is its end to be

cdef class Recorder:
    # Guarded by the dispatcher's lock; `size`, `row_count` and the two of the rate are fixed.
    cdef Event* ring
    cdef Py_ssize_t size
    cdef Py_ssize_t place       # where the next one goes
    cdef int64_t written
    cdef Row* rows              # one a worker
    cdef int row_count
    cdef int64_t span_ns        # the ring holds what happened in that time, at least
    cdef int64_t spacing_ns     # between two events, on average
    cdef int64_t due_ns         # when the events so far would have come at that rate
    cdef int64_t left_out       # events that came faster

    cdef void note(self, EventKind kind, int64_t at_ns, int worker, int node, int detail) noexcept nogil
    cdef void keep(self, Event event) noexcept nogil
    cdef bint has_time(self, int64_t at_ns, int events, int64_t ahead_ns) noexcept nogil
