# How long items lie in an edge's queue, for those that are timed. Guarded by the edge's lock.
#
# An item is known by its number: the queue counts what goes in and what comes out at its head, so nothing is stored with
# the item. Where items leave from anywhere else (a sweep of expired ones, a clear-out) the marks are forgotten.
from libc.stdint cimport int64_t

from graphflow.core.histogram cimport Histogram, Sampler, record, sampled

cdef enum:
    MARKS = 32              # timed items in the queue at once; a power of two

cdef struct QueueTimes:
    Sampler sampler
    Histogram times
    int64_t entered         # items that have gone in
    int64_t left            # items that have come out
    int first               # place of the oldest mark
    int marks
    int64_t numbers[32]     # the numbers of the timed items, in order
    int64_t stamps[32]      # when each went in

cdef inline bint item_entered(QueueTimes* times) noexcept:
    """An item has gone in. True: it is one that is timed, mark() it."""
    times.entered += 1
    return sampled(&times.sampler) and times.marks < MARKS

cdef inline void mark(QueueTimes* times, int64_t now_ns) noexcept:
    cdef int place = (times.first + times.marks) & (MARKS - 1)
    times.numbers[place] = times.entered
    times.stamps[place] = now_ns
    times.marks += 1

cdef inline bint item_left(QueueTimes* times) noexcept:
    """The oldest item has come out. True: it was marked, unmark() it."""
    times.left += 1
    return times.marks > 0 and times.numbers[times.first] == times.left

cdef inline void unmark(QueueTimes* times, bint delivered, int64_t now_ns) noexcept:
    if delivered:
        record(&times.times, now_ns - times.stamps[times.first])
    times.first = (times.first + 1) & (MARKS - 1)
    times.marks -= 1

cdef inline void forget_marks(QueueTimes* times, Py_ssize_t depth) noexcept:
    """The queue was changed elsewhere than at its ends; it now holds `depth` items."""
    times.left = 0
    times.entered = depth
    times.marks = 0
