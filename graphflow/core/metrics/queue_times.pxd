# How long items lie in an edge's queue, for those that are timed. Guarded by the edge's lock.
#
# An item is known by its number, counted at the head of the queue where items come out, so nothing is stored with it:
# one that goes in behind `depth` others is number `left + depth + 1`. Where items leave from anywhere else (a sweep of
# expired ones, a clear-out) the marks are forgotten.
from libc.stdint cimport int64_t

from graphflow.core.metrics.histogram cimport Histogram, Sampler, record

cdef enum:
    MARKS = 32              # timed items in the queue at once; a power of two

cdef struct QueueTimes:
    Sampler sampler
    int64_t left            # items that have come out
    int64_t due             # the number of the oldest mark, 0 for none
    int first               # its place
    int marks
    int64_t numbers[32]     # the numbers of the timed items, in order
    int64_t stamps[32]      # when each went in
    Histogram times

cdef inline void mark(QueueTimes* times, Py_ssize_t depth, int64_t now_ns) noexcept:
    """The item that has just gone in, as the last of `depth`, is one that is timed; not if too many are already."""
    cdef int place = (times.first + times.marks) & (MARKS - 1)
    if times.marks == MARKS:
        return
    times.numbers[place] = times.left + depth
    times.stamps[place] = now_ns
    times.marks += 1
    if times.marks == 1:
        times.due = times.numbers[place]

cdef inline bint item_left(QueueTimes* times) noexcept:
    """The oldest item has come out. True: it was marked, unmark() it."""
    times.left += 1
    return times.left == times.due

cdef inline void unmark(QueueTimes* times, bint delivered, int64_t now_ns) noexcept:
    if delivered:
        record(&times.times, now_ns - times.stamps[times.first])
    times.first = (times.first + 1) & (MARKS - 1)
    times.marks -= 1
    times.due = times.numbers[times.first] if times.marks > 0 else 0

cdef inline void forget_marks(QueueTimes* times) noexcept:
    """The queue was changed elsewhere than at its ends."""
    times.left = times.due = 0
    times.marks = 0
