# Time to live: which items of an edge are overdue, and discarding them.
#
# Nothing runs just because an item expires. Whoever puts, takes or looks first asks whether the oldest is overdue, and
# then discards all that are; whoever waits at the edge (a thread, a coroutine, a node by a timer of the run's) looks
# when the oldest is due. What goes makes room like a get. On a keyed edge ages are in no order, as a merge makes an
# item young again: until `next_expiry_ns` nothing need be looked for, and then a sweep looks at every item.
#
# A finalizer of what is discarded may run any Python: references are dropped after the section.

from cpython.object cimport PyObject
from libc.stdint cimport int64_t

from graphflow.core.edges.contents cimport KEYED
from graphflow.core.edges.ends cimport News, no_news, tell
from graphflow.core.edges.losses cimport LOST_EXPIRED, lost
from graphflow.core.edges.ring cimport list_items
from graphflow.core.edges.room cimport EdgeRoom
from graphflow.core.edges.slot cimport Entry
from graphflow.core.metrics.queue_times cimport forget_marks
from graphflow.core.sync.lock cimport acquire, peek
from graphflow.core.sync.mutants cimport planted

cdef enum:
    EXPIRE_BATCH = 32       # items expired in one critical section


cdef class EdgeExpiry(EdgeRoom):
    """The contents of an edge, and their age."""

    # ======================================================================================== under the lock

    cdef bint overdue(self) noexcept:
        """Under the lock: must expire() run before anything else is decided?"""
        if self.ttl_ns == 0 or not self.takeable():
            return False
        if self.special & KEYED:
            return self.clock.now_ns() > self.next_expiry_ns
        return self.clock.now_ns() - (<Entry>self.data.at(0)[0]).stamp_ns > self.ttl_ns

    cdef Py_ssize_t sweep(self, PyObject** victims, int64_t now) noexcept:
        """Under the lock: take the expired out of a keyed queue, whose ages are in no order; at most EXPIRE_BATCH."""
        cdef Py_ssize_t gone = 0
        cdef Py_ssize_t kept = 0
        cdef Py_ssize_t position
        cdef PyObject** slot
        cdef int64_t expiry
        cdef int64_t earliest = now + self.ttl_ns
        for position in range(self.data.count):
            slot = self.data.at(position)
            expiry = (<Entry>slot[0]).stamp_ns + self.ttl_ns
            if expiry < now and gone < EXPIRE_BATCH and slot[0] != self.claim:
                victims[gone], slot[0] = slot[0], victims[gone]
                self.bytes -= (<Entry>victims[gone]).size
                gone += 1
                continue
            if slot[0] != self.claim:           # a claimed item is looked at when the claim is released
                earliest = min(earliest, expiry)
            if kept != position:
                slot[0], self.data.at(kept)[0] = self.data.at(kept)[0], slot[0]
            kept += 1
        self.data.count = kept
        self.next_expiry_ns = earliest
        if self.times != NULL:
            forget_marks(self.times)
        self.reindex()
        return gone

    # ======================================================================================== with no lock held

    cdef int64_t expiry_wait_ns(self) noexcept:
        """Nanoseconds until the oldest item expires; -1 where none will."""
        cdef int64_t left = -1
        acquire(self.mu)
        if self.ttl_ns > 0 and self.takeable():
            if self.special & KEYED:
                left = self.next_expiry_ns - self.clock.now_ns()
            else:
                left = (<Entry>self.data.at(0)[0]).stamp_ns + self.ttl_ns - self.clock.now_ns()
            left = max(left + 1, 1)
        self.unlock()
        return left

    cdef int expire(self) except -1:
        """Discard the items past their time to live, and give their room away."""
        cdef list victims
        cdef Py_ssize_t gone = EXPIRE_BATCH
        cdef bint starved
        cdef News news
        no_news(&news)
        while gone == EXPIRE_BATCH:
            victims = [None] * EXPIRE_BATCH
            gone = 0
            acquire(self.mu)
            if self.special & KEYED:
                gone = self.sweep(list_items(victims), self.clock.now_ns())
            else:
                while gone < EXPIRE_BATCH and self.overdue():
                    self.remove(&list_items(victims)[gone], False)
                    gone += 1
            self.counts.expired += gone - (planted("uncounted expiry") and gone == EXPIRE_BATCH)
            self.room_made(&news)
            starved = self.starved()
            self.unlock()
            if starved:
                self.settle()
            if gone > 0:
                lost(self, LOST_EXPIRED, peek(self.counts.expired))
        tell(&news)
        return 0

    cdef int expire_now(self) except -1:
        """Discard what is overdue at this moment, before the edge is looked at from outside."""
        cdef bint overdue
        if self.ttl_ns > 0:
            acquire(self.mu)
            overdue = self.overdue()
            self.unlock()
            if overdue:
                self.expire()
        return 0
