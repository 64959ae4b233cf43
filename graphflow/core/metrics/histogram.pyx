# Durations in fixed log-linear buckets.
#
# Each doubling of time has STEPS buckets of equal width, so the middle of a bucket is within 1/32 (3.2 %) of anything
# in it, from 16 ns to 4.9 hours, in 5 KiB and without a floating point number. Recording is a few additions, all
# relaxed atomics, so it may be done by several threads and read by others without a lock; whoever records under a lock
# of the core's has a consistent copy for the price of that lock.
#
# One event in ONE_IN is timed, at random distances (1 to 127, 64 on average): a fixed stride would always meet the same
# item of a graph that works in rounds. The numbers come from a generator with a fixed start, so that a simulated run
# times the same events again.

from cpython.mem cimport PyMem_Calloc
from libc.stdint cimport int64_t, uint32_t

from graphflow.core.sync.lock cimport add, peek, poke

from graphflow.core.metrics.distribution import Distribution

cdef extern from *:
    """
    #define GF_HIGHEST_BIT(value) (63 - __builtin_clzll(static_cast<unsigned long long>(value)))
    /* Raise (or lower) a word that several threads may be changing. */
    static inline void gf_raise(int64_t& word, int64_t value) {
        int64_t seen = __atomic_load_n(&word, __ATOMIC_RELAXED);
        while (seen < value && !__atomic_compare_exchange_n(
            &word, &seen, value, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
    }
    static inline void gf_sink(int64_t& word, int64_t value) {
        int64_t seen = __atomic_load_n(&word, __ATOMIC_RELAXED);
        while (seen > value && !__atomic_compare_exchange_n(
            &word, &seen, value, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
    }
    """
    int highest_bit "GF_HIGHEST_BIT" (int64_t value) noexcept nogil
    void raise_to "gf_raise" (int64_t& word, int64_t value) noexcept nogil
    void sink_to "gf_sink" (int64_t& word, int64_t value) noexcept nogil


cdef void redraw(Sampler* sampler) noexcept nogil:
    """Choose the next event that is timed."""
    cdef uint32_t state = peek(sampler.state)
    if state == 0:
        state = 2463534242
    state ^= state << 13
    state ^= state >> 17
    state ^= state << 5
    poke(sampler.state, state)
    poke(sampler.countdown, 1 + <int>(state % (2 * ONE_IN - 1)))


cdef int bucket_of(int64_t ns) noexcept nogil:
    cdef int bit
    if ns < STEPS:
        return <int>ns if ns > 0 else 0
    bit = highest_bit(ns)
    return min(<int>((bit - 3) * STEPS + ((ns >> (bit - 4)) & (STEPS - 1))), <int>(BUCKETS - 1))


cdef int64_t lower_bound(int bucket) noexcept nogil:
    """The shortest time in a bucket, in nanoseconds; that of the next one is where it ends."""
    if bucket < STEPS:
        return bucket
    return <int64_t>(STEPS + bucket % STEPS) << (bucket // STEPS - 1)


cdef void record(Histogram* histogram, int64_t ns) noexcept nogil:
    if ns < 0:
        ns = 0
    if peek(histogram.count) == 0:
        poke(histogram.least_ns, ns)
    add(histogram.count, 1)
    add(histogram.sum_ns, ns)
    add(histogram.buckets[bucket_of(ns)], 1)
    sink_to(histogram.least_ns, ns)
    raise_to(histogram.most_ns, ns)


cdef Timed* new_timed(uint32_t seed) except NULL:
    """An empty one, for the caller to PyMem_Free."""
    cdef Timed* timed = <Timed*>PyMem_Calloc(1, sizeof(Timed))
    if timed == NULL:
        raise MemoryError
    timed.sampler.state = 2463534242 + 7919 * seed
    timed.sampler.countdown = 1     # so that a short run shows something
    return timed


cdef object distribution(Histogram* histogram):
    """What was recorded, as a Distribution. What is recorded meanwhile may be in some of its numbers and not in others,
    so the count is taken from the buckets."""
    cdef int bucket
    cdef int64_t seen, count = 0
    buckets = []
    for bucket in range(BUCKETS):
        seen = peek(histogram.buckets[bucket])
        if seen > 0:
            count += seen
            buckets.append((lower_bound(bucket) / 1e9, lower_bound(bucket + 1) / 1e9, seen))
    return Distribution(
        count, peek(histogram.sum_ns) / 1e9, peek(histogram.least_ns) / 1e9, peek(histogram.most_ns) / 1e9,
        tuple(buckets))


def distribution_of(durations_ns):
    """The Distribution of some durations in nanoseconds, as the core would record them; for tests of its quantiles."""
    cdef Histogram histogram
    cdef int bucket
    histogram.count = histogram.sum_ns = histogram.least_ns = histogram.most_ns = 0
    for bucket in range(BUCKETS):
        histogram.buckets[bucket] = 0
    for ns in durations_ns:
        record(&histogram, ns)
    return distribution(&histogram)
