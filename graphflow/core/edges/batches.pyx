# Many items in one critical section: put_many and get_many, and the batches of compiled steps.
#
# A compiled step claims a batch and releases it when it is handled.
# What the step has claimed is out of the slots, in a list of the step's, which the garbage collector sees. The slots
# hold None and count as taken up until the release, so bounds and depth are what they would be. The one who claims is
# the worker inside the consumer, and one is at a time. Whoever else takes from the edge meanwhile gets what comes after
# the batch. An edge of few slots is left out: a batch of one gains nothing, and would keep the slot of what is handled.
#
# `handed` counts the claimed items whose handler was called. Only the claimer counts it up (hand_over), without the
# lock; others read it to tell what was delivered from what is queued.
#
# A stop that clears the edge out under the claimer (its handler hangs, or its node is stopped by its own error policy)
# voids the batch: what was handed over counts as delivered, the rest as all else that lies there, and the claimer's
# next hand_over fails, so that it handles nothing more. With the GIL the two never overlap; without it both are atomic
# operations on one word, so that each item is either handed over or void.

from cpython.list cimport PyList_GET_SIZE
from cpython.object cimport PyObject

from graphflow.core.edges.contents cimport (
    ASKED,
    BYTES,
    CLAIMED,
    CLOSED,
    CONSUMER_IDLE,
    GETTERS,
    KEYED,
    LANE,
    PUTTERS,
    TTL,
)
from graphflow.core.edges.ends cimport News, no_news, tell
from graphflow.core.edges.queue cimport TAKE_SLOW, EdgeQueue
from graphflow.core.edges.ring cimport list_items
from graphflow.core.metrics.queue_times cimport item_left, unmark
from graphflow.core.sync.lock cimport acquire, peek
from graphflow.core.sync.parking cimport RETRY


cdef enum:
    LEAST_CAPACITY = 4      # of an edge that batches are claimed from
    SECTION_MOST = 1024     # items moved in one section of put_some and take_some
    # items that go in, and those that come out, must each be looked at
    PUT_EACH = CLOSED | TTL | BYTES | KEYED | ASKED | PUTTERS
    TAKE_EACH = TTL | BYTES | KEYED | LANE | CLAIMED


cdef class BatchQueue(EdgeQueue):
    """An edge's queue that moves many items at once."""

    cdef Py_ssize_t put_some(self, list items, Py_ssize_t first) except -1:
        """Store data items from place `first` on while there is room, swapping each for a None; answers how many."""
        cdef PyObject** cells = list_items(items)
        cdef Py_ssize_t place = first
        cdef Py_ssize_t until = min(PyList_GET_SIZE(items), first + SECTION_MOST)
        cdef bint grows = True
        cdef News news
        no_news(&news)
        while grows:
            grows = False
            acquire(self.mu)
            if not self.special & PUT_EACH:
                while place < until and self.data.count < self.limit and not grows:
                    grows = self.data.count > self.data.mask
                    if not grows:
                        self.store(&cells[place], 0, &news)
                        place += 1
            self.unlock()
            if grows:
                self.grow(False)
        tell(&news)
        return place - first

    cdef list take_some(self, Py_ssize_t most):
        """Up to `most` of the oldest data items, fewer where there are very many; none where each must be looked at."""
        cdef list taken = [None] * min(min(most, peek(self.data.count)), <Py_ssize_t>SECTION_MOST)
        cdef PyObject** cells = list_items(taken)
        cdef Py_ssize_t place = 0
        cdef News news
        no_news(&news)
        acquire(self.mu)
        if not self.special & TAKE_EACH:
            while place < PyList_GET_SIZE(taken) and self.data.count > 0:
                self.remove(&cells[place], True)
                place += 1
            self.counts.delivered += place
            if place > 0 and self.special & TAKE_SLOW:
                self.room_made(&news)
        self.unlock_and_tell(&news)
        del taken[place:]
        return taken

    cdef Py_ssize_t claim_batch(self, list room, Py_ssize_t most) noexcept:
        """Claim up to `most` of the oldest items, but no more than half the capacity, so that the producer has slots
        meanwhile. They are swapped into `room`, whose slots hold None; answers how many: none where half would be one,
        as a batch gains nothing there and would keep the slot of what is being handled."""
        cdef PyObject** cells = list_items(room)
        cdef PyObject** slot
        cdef Py_ssize_t count = 0
        cdef Py_ssize_t position
        acquire(self.mu)
        if not self.special & CLAIMED and self.limit >= LEAST_CAPACITY:
            count = min(min(most, self.data.count), self.limit // 2)
            for position in range(count):
                slot = self.data.at(position)
                slot[0], cells[position] = cells[position], slot[0]
            self.batch = count
            self.handed = 0
            self.show_claims()
        self.unlock_plain()
        return count

    cdef bint release_batch(self, list room, Py_ssize_t claimed, Py_ssize_t done) except -1:
        """Of the batch `done` items were handled: their slots are free, the rest is queued as it was. True: nothing is
        left, and the consumer is told of what comes next."""
        cdef PyObject** cells = list_items(room)
        cdef PyObject** slot
        cdef Py_ssize_t position
        cdef News news
        cdef bint dry = False
        no_news(&news)
        acquire(self.mu)
        if self.batch > 0:              # else it is void
            for position in range(done, claimed):
                slot = self.data.at(position)
                slot[0], cells[position] = cells[position], slot[0]
            for _ in range(done if self.times != NULL else 0):
                if item_left(self.times):
                    unmark(self.times, True, self.clock.now_ns())
            self.data.drop_empty(done)
            self.counts.delivered += done
            self.batch = 0
            self.show_claims()
            if self.special & TAKE_SLOW:
                self.room_made(&news)
            if self.special & GETTERS and (self.takeable() or self.special & CLOSED):
                self.free_waiter(self.getters.first, RETRY)
            dry = self.data.count == 0
            if dry:
                self.special |= CONSUMER_IDLE
        self.unlock_and_tell(&news)
        return dry

    cdef void void_batch(self) noexcept:
        """Under the lock: the consumer has lost its batch, if it has one."""
        cdef int64_t handed
        if self.batch > 0:
            handed = void_handed(self.handed)
            self.data.drop_empty(handed)
            self.counts.delivered += handed
            self.batch = 0
            self.show_claims()
