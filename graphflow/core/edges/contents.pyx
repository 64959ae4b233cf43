# What one edge holds, who waits at it and what is counted: the decisions that are made under its lock.
#
# The critical sections that use them are in queue.pyx, room.pyx and ttl.pyx, what a run does with an edge is in
# attachment.pyx, the shell that waits is in wait.pyx.
#
# Invariants, true whenever `mu` is free:
#   I1  offered = delivered + dropped + replaced + coalesced + expired + depth + undelivered.
#   I2  No more than `limit` items and `byte_limit` bytes lie in the data, unless a capacity was lowered (then only
#       less).
#   I3  If a fixed putter waits, the longest-waiting one does not fit: whoever makes room moves waiting items in, in
#       the same critical section. Storage that is too small for that is grown and the move finished before the call
#       that made room returns (settle).
#       A putter that must ask its policy, its key or a merge again is not fixed (on one edge all are or none is): room
#       rings the longest-waiting one to look again, one at a time (`returning`), and newcomers stay behind it. If it
#       gets in it rings the next; if it is refused it goes back to its place and the next room rings it again. So they
#       keep their order, nobody is overtaken, and nobody spins.
#   I4  If data (or lane) is not empty and a consumer is attached, that consumer has been told, or the thread that
#       stored the item is about to tell it: CONSUMER_IDLE is set by the very take that finds the queue empty and
#       cleared by the store that sees it. So an item never lies unseen, and a busy queue costs no telling.
#   I5  The same for room: ROOM_WANTED is set by the very offer that finds the queue full, cleared by whoever makes
#       room.
#   I6  getters wait only while there is nothing to take (empty, all in a batch, or the first that is not is claimed).
#   I7  Every reference changes place by swapping (see ring); what a section displaced is dropped after it.
#   I8  Who was rung and is to be called stands in `rung` until it is called; the thread that rang is on its way to do
#       so (deliver), or another has done it.
#
# Every method but deliver() runs with the lock held and the GIL too (the thread attached): nothing here calls Python,
# allocates or drops a reference. Some places count a reference up (want_consumer, want_producer, enlist, take_rung):
# that runs nothing, and without it the one to be told could be gone by the time it is told.

from cpython.mem cimport PyMem_Free
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int64_t

from graphflow.core.edges.policy cimport VERDICT_BLOCKED, VERDICT_OK
from graphflow.core.edges.ring cimport list_items
from graphflow.core.edges.slot cimport Entry
from graphflow.core.metrics.histogram cimport sampled
from graphflow.core.metrics.queue_times cimport forget_marks, item_left, mark, unmark
from graphflow.core.sync.lock cimport acquire, peek, require
from graphflow.core.sync.mutants cimport planted
from graphflow.core.sync.parking cimport MOVED, RETRY, Wait, Waiter, WaitState, enlist, ring
from graphflow.core.sync.thread_state cimport here


cdef class EdgeContents:
    """The contents of one edge; see the declarations for the fields."""

    def __dealloc__(self):
        PyMem_Free(self.times)

    # ======================================================================================== what goes in

    cdef void store(self, PyObject** held, Py_ssize_t size, News* news) noexcept:
        """Under the lock: append to the data, which has a free slot."""
        cdef int64_t expiry
        if self.special & KEYED:
            self.index.add((<Entry>held[0]).hash, self.head_sequence + self.data.count)
            if self.ttl_ns > 0:
                expiry = (<Entry>held[0]).stamp_ns + self.ttl_ns
                if self.data.count == 0 or expiry < self.next_expiry_ns:
                    self.next_expiry_ns = expiry
        self.data.push(held)
        if self.times != NULL and sampled(&self.times.sampler):
            mark(self.times, self.data.count, self.clock.now_ns())
        self.bytes += size
        self.counts.offered += 1
        self.arrival(news)

    cdef void arrival(self, News* news) noexcept:
        """Under the lock: data became takeable."""
        cdef Py_ssize_t depth = self.data.count + self.lane.count
        if depth > self.counts.peak_depth:
            self.counts.peak_depth = depth
        if self.special & CONSUMER_IDLE:
            self.special &= ~CONSUMER_IDLE
            news.arrived = True
            self.want_consumer(news)
        if self.special & GETTERS:
            self.free_waiter(self.getters.first, RETRY)

    cdef void lane_arrival(self, News* news) noexcept:
        """Under the lock: a control message became takeable."""
        self.special |= LANE
        if self.data.count + self.lane.count > self.counts.peak_depth:
            self.counts.peak_depth = self.data.count + self.lane.count
        if self.special & CONSUMER_LANE_IDLE:
            self.special &= ~CONSUMER_LANE_IDLE
            news.lane_arrived = True
            self.want_consumer(news)
        if self.special & GETTERS:
            self.free_waiter(self.getters.first, RETRY)

    cdef int enter_lane(self, PyObject** held, Wait* wait, bint want_room, News* news) noexcept:
        """Under the lock: a control message takes a place in the lane or is refused."""
        if self.lane.count > self.lane.mask and self.lane.count < self.lane_limit:
            return ANSWER_GROW
        if self.lane.count >= self.lane_limit or self.special & LANE_PUTTERS:
            return self.refuse(wait, want_room, True)
        self.lane.push(held)
        self.counts.offered += 1
        self.lane_arrival(news)
        return VERDICT_OK

    cdef int refuse(self, Wait* wait, bint want_room, bint control) noexcept:
        """Under the lock: the newcomer stays with its caller, who may wait for room or ask to be told of it."""
        if control and self.lane_refused_ns == 0:
            self.lane_refused_ns = self.clock.now_ns()
        elif not control and not self.special & REFUSED:
            self.special |= REFUSED
            self.refused_ns = self.clock.now_ns()
        if wait != NULL:
            enlist(&self.lane_putters if control else &self.putters, wait)
            self.show_waiters()
            return ANSWER_WAIT
        if want_room:
            self.special |= LANE_ROOM_WANTED if control else ROOM_WANTED
        self.counts.blocked += 1
        return VERDICT_BLOCKED

    cdef void accepts_again(self) noexcept:
        """Under the lock: there is room after a refusal, or there will be none any more."""
        if self.special & REFUSED:
            self.special &= ~REFUSED
            self.counts.blocked_ns += self.clock.now_ns() - self.refused_ns

    cdef void lane_accepts_again(self) noexcept:
        """Under the lock: the same for the lane."""
        if self.lane_refused_ns != 0:
            self.counts.blocked_ns += self.clock.now_ns() - self.lane_refused_ns
            self.lane_refused_ns = 0

    cdef int64_t blocked_ns(self) noexcept:
        """Under the lock: the time from refusals to room so far, those that still last included."""
        cdef int64_t blocked = self.counts.blocked_ns
        if self.special & REFUSED:
            blocked += self.clock.now_ns() - self.refused_ns
        if self.lane_refused_ns != 0:
            blocked += self.clock.now_ns() - self.lane_refused_ns
        return blocked

    # ======================================================================================== what goes out

    cdef void remove(self, PyObject** held, bint delivered) noexcept:
        """Under the lock: take the oldest data item that is in no batch, to deliver it or not; `held` owned a None."""
        if self.batch > 0:              # all its slots hold None, so it does not matter which of them goes
            held[0], self.data.at(self.batch)[0] = self.data.at(self.batch)[0], held[0]
            self.data.drop_empty(1)
            if self.times != NULL:
                forget_marks(self.times)
            return
        self.data.pop(held)
        if self.times != NULL and item_left(self.times):
            unmark(self.times, delivered, self.clock.now_ns())
        if self.wraps:
            self.bytes -= (<Entry>held[0]).size
            self.head_sequence += 1

    cdef bint fits(self, Py_ssize_t size) noexcept:
        """Under the lock: is there room for one more data item of `size` bytes?"""
        cdef Py_ssize_t limit = self.limit + planted("off by one")
        return self.data.count < limit and (self.byte_limit == 0 or size <= self.byte_limit - self.bytes)

    cdef Py_ssize_t surplus(self, Py_ssize_t size, bint forced) noexcept:
        """Under the lock: how many of the oldest items make way for a newcomer of `size` bytes."""
        cdef Py_ssize_t count = 1 if forced or self.data.count >= self.limit else 0
        cdef Py_ssize_t freed = 0
        cdef Py_ssize_t position
        if self.byte_limit == 0:
            return count
        for position in range(self.data.count):
            if position >= count and size <= self.byte_limit - (self.bytes - freed):
                break
            freed += (<Entry>self.data.at(position)[0]).size
            count = max(count, position + 1)
        return count

    cdef bint claimed_within(self, Py_ssize_t count) noexcept:
        """Under the lock: may one of the `count` oldest items that are in no batch not be evicted?"""
        cdef Py_ssize_t position
        if self.batch > 0 and self.data.count - self.batch < count:
            return True
        if self.claim != NULL:
            for position in range(self.batch, self.batch + count):
                if self.data.at(position)[0] == self.claim:
                    return True
        return False

    cdef void evict(self, PyObject** one, list many, Py_ssize_t count) noexcept:
        """Under the lock: swap the `count` oldest items out, into `one` if that is enough, else into `many`."""
        cdef Py_ssize_t position
        if count == 1:
            self.remove(one, False)
        else:
            for position in range(count):
                self.remove(&list_items(many)[position], False)
        self.counts.replaced += count

    cdef void reindex(self) noexcept:
        """Under the lock: build the key index anew from the queued items."""
        cdef Py_ssize_t position
        self.index.clear()
        for position in range(self.data.count):
            self.index.add((<Entry>self.data.at(position)[0]).hash, self.head_sequence + position)

    # ======================================================================================== who waits

    cdef void room_made(self, News* news) noexcept:
        """Under the lock: move waiting putters in while they fit (I3), and tell the producer (I5)."""
        cdef Wait* wait = self.putters.first
        if wait != NULL and not wait.fixed:
            self.call_back(wait)
        while wait != NULL and wait.fixed and self.fits(wait.size) and self.data.count <= self.data.mask:
            self.store(&wait.item, wait.size, news)     # settle() goes on where storage ran out
            self.free_waiter(wait, MOVED)
            wait = self.putters.first
        if self.putters.first == NULL and self.data.count < self.limit:
            self.accepts_again()
        if self.special & ROOM_WANTED and self.data.count < self.limit:
            self.special &= ~ROOM_WANTED
            self.want_producer(news)

    cdef void lane_room_made(self, News* news) noexcept:
        """Under the lock: the same for the lane, whose storage never needs more than it has."""
        cdef Wait* wait
        while self.special & LANE_PUTTERS and self.lane.count < self.lane_limit:
            wait = self.lane_putters.first
            self.lane.push(&wait.item)
            self.counts.offered += 1
            self.lane_arrival(news)
            self.free_waiter(wait, MOVED)
        if not self.special & LANE_PUTTERS:
            self.lane_accepts_again()
        if self.special & LANE_ROOM_WANTED:
            self.special &= ~LANE_ROOM_WANTED
            self.want_producer(news)

    cdef bint starved(self) noexcept:
        """Under the lock: does a waiting putter fit but for storage?"""
        cdef Wait* wait = self.putters.first
        return wait != NULL and wait.fixed and self.fits(wait.size) and self.data.count > self.data.mask

    cdef int await_claim(self, Wait* wait, bint want_room) noexcept:
        """Under the lock: the newcomer must wait until the claim is released; that is in nobody else's way."""
        if wait != NULL:
            if wait.ticket == 0:        # a place in the line for room, should it come to that
                self.putters.tickets += 1
                wait.ticket = self.putters.tickets
            enlist(&self.claim_waiters, wait)
            return ANSWER_WAIT
        return self.refuse(NULL, want_room, False)

    cdef void free_waiter(self, Wait* wait, WaitState state) noexcept:
        """Under the lock: take `wait` off its list and wake it, at once or right after the lock."""
        ring(wait, state)
        if wait.bell == NULL and not wait.rung:
            wait.rung = True
            wait.next_rung = NULL
            if self.rung == NULL:
                self.rung = wait
            else:
                self.last_rung.next_rung = wait
            self.last_rung = wait
        self.show_waiters()

    cdef PyObject* take_rung(self) noexcept:
        """Under the lock: the Waiter to call next, with a reference for the caller; NULL if there is none."""
        cdef Wait* wait = self.rung
        if wait == NULL:
            return NULL
        self.rung = wait.next_rung
        wait.rung = False
        if wait.home == NULL:
            wait.held = False       # its own reference is the caller's now
        else:
            Py_INCREF(<object>wait.owner)
        return wait.owner

    cdef void deliver(self) noexcept:
        """With no lock held: call those that were rung. One at a time, so that another thread may take the next."""
        cdef PyObject* waiter
        cdef void* outer = here().abandoning
        if outer == <void*>self:        # the call below is ours, and its loop goes on
            return
        while True:
            acquire(self.mu)
            waiter = self.take_rung()
            self.mu.unlock()
            if waiter == NULL:
                break
            if not (<Waiter>waiter).call():
                here().abandoning = <void*>self
                (<Waiter>waiter).give_up()
                here().abandoning = outer
            Py_DECREF(<object>waiter)

    cdef void show_waiters(self) noexcept:
        """Under the lock: set the bits of the lists to what holds."""
        self.special &= ~(PUTTERS | LANE_PUTTERS | GETTERS)
        if self.putters.first != NULL or self.returning != NULL:
            self.special |= PUTTERS
        if self.lane_putters.first != NULL:
            self.special |= LANE_PUTTERS
        if self.getters.first != NULL:
            self.special |= GETTERS

    cdef bint behind_others(self, Wait* wait) noexcept:
        """Under the lock: do others wait that an offer with `wait` (or NULL) must not overtake?"""
        return self.special & PUTTERS != 0 and not (wait != NULL and wait == self.returning)

    cdef void call_back(self, Wait* wait) noexcept:
        """Under the lock: ring a listed putter that is not fixed to look again, if none is doing so."""
        if wait != NULL and self.returning == NULL:
            self.returning = wait
            self.free_waiter(wait, RETRY)

    cdef void came_back(self, Wait* wait, int answer) noexcept:
        """Under the lock: an offer with `wait` has its answer. If it was called back the next may be: one that waited
        for a claim, one of the same key, which needs no room but may only be merged, else the longest-waiting. The
        chain ends when the longest-waiting itself is refused: it waits again and nobody is called."""
        cdef Wait* following = self.putters.first
        cdef bint merge_only
        if wait == NULL or wait != self.returning:
            return
        self.returning = NULL
        merge_only = wait.merge_only
        wait.merge_only = False
        if self.claim == NULL and self.claim_waiters.first != NULL:
            self.call_back(self.claim_waiters.first)
        elif following != NULL and not self.special & CLOSED:
            if self.special & KEYED and answer != ANSWER_WAIT:
                while following != NULL and (<Entry>following.item).hash != (<Entry>wait.item).hash:
                    following = following.next
                if following == NULL:
                    following = self.putters.first
                following.merge_only = following != self.putters.first
                self.call_back(following)
            elif answer != ANSWER_WAIT or merge_only or following != wait:
                self.call_back(following)
        self.show_waiters()

    # ======================================================================================== who is told

    cdef void want_consumer(self, News* news) noexcept:
        """Under the lock: hold the consumer for telling. Only counts up, which runs nothing."""
        if news.consumer == NULL and self.consumer is not None:
            news.consumer = <PyObject*>self.consumer
            Py_INCREF(self.consumer)

    cdef void want_producer(self, News* news) noexcept:
        """Under the lock: hold the producer for telling."""
        if news.producer == NULL and self.producer is not None:
            news.producer = <PyObject*>self.producer
            Py_INCREF(self.producer)

    cdef Py_ssize_t depth_peek(self) noexcept nogil:
        """Items here, data and lane: exact under the lock, else a moment old."""
        return max(peek(self.data.count) - self.in_batch_handed(), <int64_t>0) + peek(self.lane.count)

    # ======================================================================================== debug builds

    cdef void check(self) noexcept:
        """Under the lock, in debug builds, before each unlock: do the invariants hold?"""
        cdef Counts* c = &self.counts
        cdef Wait* wait
        cdef Py_ssize_t position
        cdef Py_ssize_t size = 0
        require(
            c.offered == c.delivered + c.dropped + c.replaced + c.coalesced + c.expired + c.undelivered
            + self.data.count + self.lane.count, "I1 counting"
        )
        require(self.data.count <= self.data.mask + 1 and self.lane.count <= self.lane_limit, "I2 bounds")
        require((self.special & PUTTERS != 0) == (self.putters.first != NULL or self.returning != NULL), "PUTTERS")
        require((self.special & LANE_PUTTERS != 0) == (self.lane_putters.first != NULL), "LANE_PUTTERS")
        require((self.special & GETTERS != 0) == (self.getters.first != NULL), "GETTERS")
        require((self.special & LANE != 0) == (self.lane.count > 0), "LANE")
        require((self.special & CLAIMED != 0) == (self.claim != NULL or self.batch > 0), "CLAIMED")
        require(0 <= self.batch <= self.data.count and (self.batch == 0 or not self.wraps), "batch")
        if self.times != NULL and self.times.marks > 0:
            position = self.times.due - self.times.left - 1
            require(0 <= position < self.data.count, "a marked item lies here")
        if self.putters.first != NULL and self.putters.first.fixed:
            require(
                not self.fits(self.putters.first.size) or self.data.count > self.data.mask, "I3 a waiting putter fits"
            )
        if self.special & LANE_PUTTERS:
            require(self.lane.count >= self.lane_limit, "I3 waiting putter fits the lane")
        if self.special & CONSUMER_IDLE:
            require(not self.takeable(), "I4 consumer not told")
        require(not (self.special & CONSUMER_LANE_IDLE and self.lane.count > 0), "I4 consumer not told of control")
        wait = self.rung
        while wait != NULL:
            require(wait.rung and wait.held and wait.owner != NULL and wait.bell == NULL, "I8 nobody to call")
            require(wait.next_rung != NULL or wait == self.last_rung, "I8 the line is broken")
            wait = wait.next_rung
        if self.wraps:
            for position in range(self.data.count):
                size += (<Entry>self.data.at(position)[0]).size
            require(size == self.bytes, "bytes")
