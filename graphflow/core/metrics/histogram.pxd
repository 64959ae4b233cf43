# Durations in fixed log-linear buckets, and the choice of which events are timed. See histogram.pyx.
from libc.stdint cimport int64_t, uint32_t

from graphflow.core.sync.lock cimport peek, poke

cdef enum:
    STEPS = 16              # buckets a doubling: a bucket is a sixteenth of its lower bound wide at most
    BUCKETS = 656           # up to 2**44 ns, 4.9 hours; the last one takes all that is longer
    ONE_IN = 64             # events, of which one is timed on average

cdef struct Sampler:
    int countdown           # events until the next one that is timed
    uint32_t state          # of the random numbers; never 0 once drawn from

cdef struct Histogram:
    int64_t count
    int64_t sum_ns
    int64_t least_ns
    int64_t most_ns
    int64_t buckets[656]

cdef struct Timed:
    Sampler sampler
    Histogram times

cdef void redraw(Sampler* sampler) noexcept nogil
cdef void record(Histogram* histogram, int64_t ns) noexcept nogil
cdef Timed* new_timed(uint32_t seed) except NULL
cdef object distribution(Histogram* histogram)

cdef inline bint sampled(Sampler* sampler) noexcept nogil:
    """Is this event one that is timed? Threads that ask at the same time may shift the choice by one, no more."""
    cdef int left = peek(sampler.countdown) - 1
    poke(sampler.countdown, left)
    if left > 0:
        return False
    redraw(sampler)
    return True
