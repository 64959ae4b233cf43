# What a run does with an edge: join it, close it, clear it out, and open it again for the next run.
#
# A stop removes both ends under the edge's lock before the run is let go, so an Edge that a user still holds wakes
# nobody. Whoever had already taken an end to tell it holds a reference of its own, and an ended run ignores news.

from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.stdint cimport int64_t
from libc.string cimport memset

from graphflow.core.edges.batches cimport BatchQueue
from graphflow.core.edges.contents cimport (
    CLOSED,
    CONSUMER_IDLE,
    CONSUMER_LANE_IDLE,
    LANE,
    LANE_ROOM_WANTED,
    ROOM_WANTED,
    Counts,
)
from graphflow.core.edges.ends cimport EdgeEnd, News, no_news, tell
from graphflow.core.edges.key_index cimport KeyIndex, new_index
from graphflow.core.edges.losses cimport LOST_CLOSED, lost
from graphflow.core.edges.ring cimport Ring, new_ring
from graphflow.core.metrics.queue_times cimport QueueTimes, forget_marks
from graphflow.core.sync.lock cimport acquire, peek
from graphflow.core.sync.mutants cimport planted
from graphflow.core.sync.parking cimport RETRY, SHUT

cdef extern from *:
    """
    #define GF_SWAP_ENDS(queue, c, p) do { \
        std::swap((queue)->__pyx_base.__pyx_base.__pyx_base.__pyx_base.__pyx_base.consumer, (c)); \
        std::swap((queue)->__pyx_base.__pyx_base.__pyx_base.__pyx_base.__pyx_base.producer, (p)); } while (0)
    """
    # The last two must be local variables: they own what they hold, and release what comes out after the lock.
    void swap_ends "GF_SWAP_ENDS" (LeasedQueue queue, EdgeEnd consumer, EdgeEnd producer) noexcept


cdef class LeasedQueue(BatchQueue):
    """An edge's queue as a run holds it."""

    cdef int resize(self, Py_ssize_t capacity) except -1:
        """Change the capacity: more is handed out at once, less loses nothing."""
        cdef News news
        no_news(&news)
        acquire(self.mu)
        self.limit = capacity
        self.room_made(&news)
        return self.unlock_and_tell(&news)

    cdef int shut(self) except -1:
        """Take nothing more in; every waiter is released, what is queued stays takeable."""
        cdef News news
        cdef bint first
        no_news(&news)
        acquire(self.mu)
        first = not self.special & CLOSED
        self.special |= CLOSED
        self.accepts_again()
        self.lane_accepts_again()
        while self.putters.first != NULL:       # one that is returning finds the edge closed by itself
            self.free_waiter(self.putters.first, SHUT)
        while self.claim_waiters.first != NULL:
            self.free_waiter(self.claim_waiters.first, SHUT)
        while self.lane_putters.first != NULL:
            self.free_waiter(self.lane_putters.first, SHUT)
        while self.getters.first != NULL:
            self.free_waiter(self.getters.first, RETRY)
        if first:
            self.want_consumer(&news)
            self.want_producer(&news)
        self.unlock()
        if news.consumer != NULL:
            (<EdgeEnd>news.consumer).shut()
        if news.producer != NULL:
            (<EdgeEnd>news.producer).shut()
        return tell(&news)

    cdef int reopen(self) except -1:
        """For another run after one that sealed it: open and counting from zero. The first run finds what the user did
        before it (items put, inputs closed) as it is."""
        acquire(self.mu)
        self.sealed = False
        self.special &= ~(CLOSED | CONSUMER_IDLE | CONSUMER_LANE_IDLE | ROOM_WANTED | LANE_ROOM_WANTED)
        memset(&self.counts, 0, sizeof(Counts))
        self.counts.offered = self.counts.peak_depth = self.depth_peek()
        self.unlock()
        return 0

    cdef int measure_times(self, bint wanted) except -1:
        """Time items from here on, or do not; what was timed so far is forgotten."""
        cdef QueueTimes* times = NULL
        cdef QueueTimes* before
        if wanted:
            times = <QueueTimes*>PyMem_Calloc(1, sizeof(QueueTimes))
            if times == NULL:
                raise MemoryError
            times.sampler.countdown = 1     # so that a short run shows something
        acquire(self.mu)
        before = self.times
        self.times = times
        self.unlock()
        PyMem_Free(before)
        return 0

    cdef int attach(self, EdgeEnd consumer, EdgeEnd producer, int64_t owner) except -1:
        """Join the ends of a run; the consumer is told at once of what lies here already."""
        cdef EdgeEnd out_consumer = consumer    # owned, as the swap takes one reference for another: an argument is not
        cdef EdgeEnd out_producer = producer
        cdef News news
        no_news(&news)
        acquire(self.mu)
        swap_ends(self, out_consumer, out_producer)
        self.owner = owner
        if self.consumer is not None:
            if self.data.count > 0:
                news.arrived = True
                self.want_consumer(&news)
            else:
                self.special |= CONSUMER_IDLE
            if self.special & LANE:
                news.lane_arrived = True
                self.want_consumer(&news)
            else:
                self.special |= CONSUMER_LANE_IDLE
        self.unlock()
        return tell(&news)

    cdef int detach(self) except -1:
        """Forget the ends: from here on this queue wakes nobody of the run."""
        cdef EdgeEnd out_consumer = None
        cdef EdgeEnd out_producer = None
        acquire(self.mu)
        swap_ends(self, out_consumer, out_producer)
        self.owner = 0
        self.sealed = True
        self.special &= ~(CONSUMER_IDLE | CONSUMER_LANE_IDLE | ROOM_WANTED | LANE_ROOM_WANTED)
        self.unlock()
        return 0

    cdef int clear_out(self, int64_t deferred, bint dropped) except -1:
        """Release what is queued and count it, with `deferred` items that never got in, as undelivered (or, for a node
        that was stopped, as dropped for `closed`). A putter that holds a claim finds its item gone."""
        cdef Ring data = new_ring(1)
        cdef Ring lane = new_ring(1)
        cdef KeyIndex index = new_index(data.size()) if self.index is not None else None
        cdef int64_t left
        acquire(self.mu)
        self.void_batch()
        left = self.depth_peek() + deferred
        self.data.trade(data)
        self.lane.trade(lane)
        if index is not None:
            self.index.adopt(index)
        self.bytes = 0
        if self.times != NULL:
            forget_marks(self.times)
        self.special &= ~LANE
        self.counts.offered += deferred
        if planted("undelivered twice") and deferred > 0 and not dropped:
            self.counts.offered += deferred
            left += deferred
        if dropped:
            self.counts.dropped += left
            self.counts.dropped_closed += left
            self.counts.dropped_queued += left
        else:
            self.counts.undelivered += left
        self.unlock()
        if dropped and left > 0:
            lost(self, LOST_CLOSED, peek(self.counts.dropped))
        return 0

    cdef int leave(self, int64_t deferred) except -1:
        """Count `deferred` items that never got in as undelivered; what is queued stays takeable (an exposed
        output)."""
        acquire(self.mu)
        self.counts.offered += deferred
        self.counts.undelivered += deferred
        self.unlock()
        return 0
