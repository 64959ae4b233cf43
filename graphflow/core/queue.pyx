# The queue of one edge: what it holds, who waits at it, what is counted. It decides and never waits; Edge is the shell.
#
# Invariants, true whenever `mu` is free:
#   I1  offered = delivered + dropped + replaced + coalesced + expired + depth + undelivered.
#   I2  No more than `limit` items and `byte_limit` bytes lie in the data, unless a capacity was lowered (then only less).
#   I3  If a fixed putter waits, the longest-waiting one does not fit: whoever makes room moves waiting items in, in
#       the same critical section. Storage that is too small for that is grown and the move finished before the call that
#       made room returns (_admit).
#   I4  If data (or lane) is not empty and a consumer is attached, that consumer has been told, or the thread that stored
#       the item is about to tell it: CONSUMER_IDLE is set by the very take that finds the queue empty and cleared by the
#       store that sees it. So an item never lies unseen, and a busy queue costs no telling.
#   I5  The same for room: ROOM_WANTED is set by the very offer that finds the queue full, cleared by whoever makes room.
#   I6  getters wait only while there is nothing to take (empty, or the head is claimed).
#   I7  Every reference changes place by swapping (see ring); what a section displaced is dropped after it.
#
# Races thought of: a waiting putter times out while its item is moved (both under mu: `listed` and `state` say which);
# a getter leaves after it was rung (leave_get rings the next); two putters merge into one item (conflate commits only
# if the item is unchanged); a consumer is detached while a putter is about to tell it (the putter took its own
# reference under mu, and a stopped run ignores news); a finalizer of a dropped item puts into this very queue (dropped
# after unlock); close() against everything (all of it re-checks CLOSED in its own section).
#
# Every method is called with the GIL (the thread attached), which no section lets go; see lock.pxd.

from cpython.list cimport PyList_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int64_t
from libc.string cimport memset

from graphflow.core.entry cimport Entry
from graphflow.core.keyindex cimport KeyIndex, new_index
from graphflow.core.lock cimport acquire, peek
from graphflow.core.policy cimport (
    POLICY_DROP,
    POLICY_LATEST,
    VERDICT_BLOCKED,
    VERDICT_DROPPED,
    VERDICT_OK,
    VERDICT_REPLACED,
    PolicyKind,
)
from graphflow.core.ring cimport Ring, list_items, new_ring
from graphflow.core.waiter cimport MOVED, RETRY, SHUT, Wait, WaitList, WaitState, enlist, ring, unlist

cdef extern from *:
    """
    #define GF_SWAP_ENDS(queue, c, p) do { std::swap((queue)->consumer, (c)); std::swap((queue)->producer, (p)); } while (0)
    """
    void swap_ends "GF_SWAP_ENDS" (EdgeQueue queue, EdgeEnd consumer, EdgeEnd producer) noexcept

cdef enum:
    # special bits that take a put, or a take of data, off the fast path
    PUT_SLOW = CLOSED | TTL | BYTES | KEYED | PUTTERS | LANE | GETTERS | CONSUMER_IDLE
    TAKE_SLOW = TTL | BYTES | KEYED | PUTTERS | LANE | CLAIMED | ROOM_WANTED

cdef Py_ssize_t EXPIRE_BATCH = 32   # items expired in one critical section


cdef class EdgeEnd:
    cdef void arrived(self, bint control) noexcept:
        """Items came into a queue that was seen empty."""

    cdef void room(self) noexcept:
        """There is room in a queue that was seen full."""

    cdef void shut(self) noexcept:
        """The queue was closed."""


cdef class EdgeQueue:

    # ======================================================================================== the edge's part

    cdef str label(self):
        """The edge's id, for messages."""
        return ""

    cdef Py_ssize_t measure(self, object payload, bint bound) except -1:
        """Bytes of a payload, 0 on an edge that does not count them."""
        return 0

    # ======================================================================================== putting

    cdef bint put_plain(self, object item) noexcept:
        """The fast path: store a data item where nothing special is to be done. False: nothing happened."""
        cdef PyObject* mine = <PyObject*>item
        cdef bint stored = False
        Py_INCREF(item)
        acquire(self.mu)
        if not self.special & PUT_SLOW and self.data.count < self.limit and self.data.count <= self.data.mask:
            self.data.push(&mine)
            self.counts.offered += 1
            if self.data.count > self.counts.peak_depth:
                self.counts.peak_depth = self.data.count
            stored = True
        self.mu.unlock()
        Py_DECREF(<object>mine)
        return stored

    cdef int enter(
        self, object held, PolicyKind kind, bint forced, bint control, Wait* wait, bint want_room
    ) except -1:
        """Offer what Edge.prepare returned, by a policy that does not merge; answers a verdict or ANSWER_CLOSED.

        `forced` evicts the oldest even where there is room (a user's policy answered REPLACED). Where it is refused it
        lists `wait`, if there is one (ANSWER_WAIT), and asks to be told of room if `want_room`.
        """
        cdef PyObject* mine = <PyObject*>held
        cdef PyObject* victim = <PyObject*>None
        cdef list victims = None
        cdef Py_ssize_t surplus
        cdef Py_ssize_t size = (<Entry>held).size if self.wraps and not control else 0
        cdef News news
        cdef int answer
        news.consumer = news.producer = NULL
        news.arrived = news.lane_arrived = False
        Py_INCREF(held)
        Py_INCREF(None)
        while True:
            acquire(self.mu)
            surplus = 0
            if self.special & CLOSED:
                answer = ANSWER_CLOSED
            elif control:
                answer = self.enter_lane(&mine, wait, want_room, &news)
            elif self.overdue():
                answer = ANSWER_EXPIRE
            elif kind == POLICY_LATEST and self.data.count > 0 and (forced or not self.fits(size)):
                surplus = self.surplus(size, forced)
                if self.claimed_within(surplus):
                    answer = self.refuse(wait, want_room, False)
                elif surplus > 1 and (victims is None or PyList_GET_SIZE(victims) < surplus):
                    answer = ANSWER_EVICT
                else:
                    self.evict(&victim, victims, surplus)
                    self.store(&mine, size, &news)
                    self.room_made(&news)
                    answer = VERDICT_REPLACED
            elif self.fits(size) and not (kind != POLICY_LATEST and self.special & PUTTERS):
                answer = VERDICT_OK
                if self.data.count > self.data.mask:
                    answer = ANSWER_GROW
                else:
                    self.store(&mine, size, &news)
            elif kind == POLICY_DROP:
                self.counts.offered += 1
                self.counts.dropped += 1
                answer = VERDICT_DROPPED
            else:
                answer = self.refuse(wait, want_room, False)
            self.mu.unlock()
            if answer == ANSWER_GROW:
                self.grow(control)
            elif answer == ANSWER_EXPIRE:
                self.expire()
            elif answer == ANSWER_EVICT:
                victims = [None] * surplus
            else:
                break
        Py_DECREF(<object>mine)
        Py_DECREF(<object>victim)
        self.tell(&news)
        return answer

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
            self.free_waiter(&self.getters, GETTERS, self.getters.first, RETRY)

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
            self.free_waiter(&self.getters, GETTERS, self.getters.first, RETRY)

    cdef int refuse(self, Wait* wait, bint want_room, bint control) noexcept:
        """Under the lock: the newcomer stays with its caller, who may wait for room or ask to be told of it."""
        if wait != NULL:
            enlist(&self.lane_putters if control else &self.putters, wait, wait.state == RETRY)
            self.special |= LANE_PUTTERS if control else PUTTERS
            return ANSWER_WAIT
        if want_room:
            self.special |= LANE_ROOM_WANTED if control else ROOM_WANTED
        self.counts.blocked += 1
        return VERDICT_BLOCKED

    cdef int enter_not(self, bint dropped, Wait* wait, bint want_room) except -1:
        """A user's policy turned the newcomer away: discard it, or refuse it (answers as enter does)."""
        cdef int answer = VERDICT_DROPPED
        acquire(self.mu)
        if self.special & CLOSED:
            answer = ANSWER_CLOSED
        elif dropped:
            self.counts.offered += 1
            self.counts.dropped += 1
        else:
            answer = self.refuse(wait, want_room, False)
        self.mu.unlock()
        return answer

    cdef int note_closed(self, bint by_error) except -1:
        """Count a copy that an emit could not deliver: the edge is closed, or its policy failed."""
        acquire(self.mu)
        self.counts.offered += 1
        self.counts.dropped += 1
        if by_error:
            self.counts.dropped_error += 1
        else:
            self.counts.dropped_closed += 1
        self.mu.unlock()
        return 0

    # ======================================================================================== room

    cdef bint fits(self, Py_ssize_t size) noexcept:
        """Under the lock: is there room for one more data item of `size` bytes?"""
        return self.data.count < self.limit and (self.byte_limit == 0 or self.bytes + size <= self.byte_limit)

    cdef Py_ssize_t surplus(self, Py_ssize_t size, bint forced) noexcept:
        """Under the lock: how many of the oldest items make way for a newcomer of `size` bytes."""
        cdef Py_ssize_t count = 1 if forced or self.data.count >= self.limit else 0
        cdef Py_ssize_t freed = 0
        cdef Py_ssize_t position
        if self.byte_limit == 0:
            return count
        for position in range(self.data.count):
            if position >= count and self.bytes - freed + size <= self.byte_limit:
                break
            freed += (<Entry>self.data.at(position)[0]).size
            count = max(count, position + 1)
        return count

    cdef bint claimed_within(self, Py_ssize_t count) noexcept:
        """Under the lock: is one of the `count` oldest items claimed?"""
        cdef Py_ssize_t position
        if self.claim != NULL:
            for position in range(count):
                if self.data.at(position)[0] == self.claim:
                    return True
        return False

    cdef void evict(self, PyObject** one, list many, Py_ssize_t count) noexcept:
        """Under the lock: swap the `count` oldest items out, into `one` if that is enough, else into `many`."""
        cdef Py_ssize_t position
        if count == 1:
            self.remove(one)
        else:
            for position in range(count):
                self.remove(&list_items(many)[position])
        self.counts.replaced += count

    cdef void remove(self, PyObject** held) noexcept:
        """Under the lock: take the oldest data item; `held` owned a None."""
        self.data.pop(held)
        if self.wraps:
            self.bytes -= (<Entry>held[0]).size
            self.head_sequence += 1

    cdef void room_made(self, News* news) noexcept:
        """Under the lock: move waiting putters in while they fit (I3), and tell the producer (I5)."""
        cdef Wait* wait
        cdef Py_ssize_t promised = 0
        while self.special & PUTTERS:
            wait = self.putters.first
            if self.data.count + promised >= self.limit or not self.fits(wait.size):
                break
            if not wait.fixed:
                promised += 1
                self.free_waiter(&self.putters, PUTTERS, wait, RETRY)
            elif self.data.count > self.data.mask:
                break                                       # settle() grows the storage and comes back
            else:
                self.store(&wait.item, wait.size, news)
                self.free_waiter(&self.putters, PUTTERS, wait, MOVED)
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
            self.free_waiter(&self.lane_putters, LANE_PUTTERS, wait, MOVED)
        if self.special & LANE_ROOM_WANTED:
            self.special &= ~LANE_ROOM_WANTED
            self.want_producer(news)

    cdef bint starved(self) noexcept:
        """Under the lock: does a waiting putter fit but for storage?"""
        return (self.special & PUTTERS and self.putters.first.fixed and self.fits(self.putters.first.size)
                and self.data.count > self.data.mask)

    cdef void free_waiter(self, WaitList* waits, int bit, Wait* wait, WaitState state) noexcept:
        """Under the lock: take `wait` off its list and wake it."""
        ring(waits, wait, state)
        if waits.first == NULL:
            self.special &= ~bit

    cdef int grow(self, bint control) except -1:
        """Give the data (or the lane) storage for one more item, if it still lacks it."""
        cdef Ring current = self.lane if control else self.data
        cdef Ring larger = new_ring(2 * current.size())
        cdef KeyIndex index = new_index(larger.size()) if self.index is not None and not control else None
        acquire(self.mu)
        if current.size() < larger.size() and current.count > current.mask:
            current.adopt(larger)
            if index is not None:
                self.index.adopt(index)
                self.reindex()
        self.mu.unlock()
        return 0

    cdef int settle(self) except -1:
        """Finish moving waiting putters in where room_made ran out of storage."""
        cdef News news
        cdef bint again = True
        news.consumer = news.producer = NULL
        news.arrived = news.lane_arrived = False
        while again:
            self.grow(False)
            acquire(self.mu)
            self.room_made(&news)
            again = self.starved()
            self.mu.unlock()
        self.tell(&news)
        return 0

    # ======================================================================================== taking

    cdef object take_plain(self):
        """The fast path: the oldest data item, or None where the queue is empty or anything special is to be done."""
        cdef PyObject* got = <PyObject*>None
        Py_INCREF(None)
        acquire(self.mu)
        if not self.special & TAKE_SLOW and self.data.count > 0:
            self.data.pop(&got)
            self.counts.delivered += 1
        self.mu.unlock()
        return own(got)

    cdef object take_data(self, bint attend):
        """The oldest data item, or None. `attend`: the caller is the consumer and wants to be told of the next one."""
        cdef PyObject* got = <PyObject*>None
        cdef News news
        cdef bint again = True
        cdef bint starved = False
        news.consumer = news.producer = NULL
        news.arrived = news.lane_arrived = False
        Py_INCREF(None)
        while again:
            acquire(self.mu)
            again = self.overdue()
            if not again:
                if self.data.count > 0 and self.data.at(0)[0] != self.claim:
                    self.remove(&got)
                    self.counts.delivered += 1
                    if self.special & TAKE_SLOW:
                        self.room_made(&news)
                        starved = self.starved()
                elif attend:
                    self.special |= CONSUMER_IDLE
            self.mu.unlock()
            if again:
                self.expire()
        if starved:
            self.settle()
        self.tell(&news)
        return unwrap(self, own(got))

    cdef object take_lane(self, bint attend):
        """The oldest control message, or None; `attend` as for take_data."""
        cdef PyObject* got = <PyObject*>None
        cdef News news
        news.consumer = news.producer = NULL
        news.arrived = news.lane_arrived = False
        Py_INCREF(None)
        acquire(self.mu)
        if self.special & LANE:
            self.lane.pop(&got)
            self.counts.delivered += 1
            if self.lane.count == 0:
                self.special &= ~LANE
            self.lane_room_made(&news)
        elif attend:
            self.special |= CONSUMER_LANE_IDLE
        self.mu.unlock()
        self.tell(&news)
        return own(got)

    cdef object take_any(self, Wait* wait):
        """A control message, else a data item, else None; then `wait` is listed, in the section that saw nothing."""
        cdef object item
        cdef bint missed = True
        while missed:
            item = self.take_lane(False)
            if item is None:
                item = self.take_data(False)
            if item is not None or wait == NULL:
                return item
            acquire(self.mu)
            missed = bool(self.special & LANE) or (
                self.data.count > 0 and self.data.at(0)[0] != self.claim)
            if not missed and self.special & CLOSED and self.data.count == 0:
                wait.state = SHUT
            elif not missed:
                enlist(&self.getters, wait, wait.state == RETRY)
                self.special |= GETTERS
            self.mu.unlock()
        return None

    cdef list take_many(self, Py_ssize_t most):
        """Up to `most` items that are there now, control messages first."""
        cdef list items = []
        cdef object item
        while len(items) < most:
            item = self.take_any(NULL)
            if item is None:
                break
            items.append(item)
        return items

    # ======================================================================================== leaving

    cdef int withdraw(self, Wait* wait, bint control) except -1:
        """A putter stops waiting. Afterwards its state says for good whether the item went in."""
        cdef bint starved
        cdef News news
        news.consumer = news.producer = NULL
        news.arrived = news.lane_arrived = False
        acquire(self.mu)
        if wait.listed:
            unlist(&self.lane_putters if control else &self.putters, wait)
            if control and self.lane_putters.first == NULL:
                self.special &= ~LANE_PUTTERS
            elif not control and self.putters.first == NULL:
                self.special &= ~PUTTERS
        self.room_made(&news)       # the next in line may be smaller, or inherit an unused ring
        starved = self.starved()
        self.mu.unlock()
        if starved:
            self.settle()
        self.tell(&news)
        return 0

    cdef int leave_get(self, Wait* wait) except -1:
        """A getter stops waiting. If it was rung meanwhile the ring goes to the next getter (I6)."""
        acquire(self.mu)
        if wait.listed:
            unlist(&self.getters, wait)
            if self.getters.first == NULL:
                self.special &= ~GETTERS
        elif self.special & GETTERS and (self.special & LANE or self.data.count > 0):
            self.free_waiter(&self.getters, GETTERS, self.getters.first, RETRY)
        self.mu.unlock()
        return 0

    # ======================================================================================== time to live

    cdef bint overdue(self) noexcept:
        """Under the lock: must expire() run before anything else is decided?"""
        if self.ttl_ns == 0 or self.data.count == 0 or self.data.at(0)[0] == self.claim:
            return False
        if self.special & KEYED:
            return self.clock.now_ns() > self.next_expiry_ns
        return self.clock.now_ns() - (<Entry>self.data.at(0)[0]).stamp_ns > self.ttl_ns

    cdef int64_t expiry_wait_ns(self) noexcept:
        """Nanoseconds until the oldest item expires; -1 where none will."""
        cdef int64_t left = -1
        acquire(self.mu)
        if self.ttl_ns > 0 and self.data.count > 0:
            if self.special & KEYED:
                left = self.next_expiry_ns - self.clock.now_ns()
            else:
                left = (<Entry>self.data.at(0)[0]).stamp_ns + self.ttl_ns - self.clock.now_ns()
            left = max(left + 1, 1)
        self.mu.unlock()
        return left

    cdef int expire(self) except -1:
        """Discard the items past their time to live, and give their room away."""
        cdef list victims
        cdef Py_ssize_t gone = EXPIRE_BATCH
        cdef bint starved
        cdef News news
        news.consumer = news.producer = NULL
        news.arrived = news.lane_arrived = False
        while gone == EXPIRE_BATCH:
            victims = [None] * EXPIRE_BATCH
            gone = 0
            acquire(self.mu)
            if self.special & KEYED:
                gone = self.sweep(list_items(victims), self.clock.now_ns())
            else:
                while gone < EXPIRE_BATCH and self.overdue():
                    self.remove(&list_items(victims)[gone])
                    gone += 1
            self.counts.expired += gone
            self.room_made(&news)
            starved = self.starved()
            self.mu.unlock()
            if starved:
                self.settle()
        self.tell(&news)
        return 0

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
            earliest = min(earliest, max(expiry, now) if slot[0] == self.claim else expiry)
            if kept != position:
                slot[0], self.data.at(kept)[0] = self.data.at(kept)[0], slot[0]
            kept += 1
        self.data.count = kept
        self.next_expiry_ns = earliest
        self.reindex()
        return gone

    cdef void reindex(self) noexcept:
        """Under the lock: build the key index anew from the queued items."""
        cdef Py_ssize_t position
        self.index.clear()
        for position in range(self.data.count):
            self.index.add((<Entry>self.data.at(position)[0]).hash, self.head_sequence + position)

    # ======================================================================================== news

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

    cdef int tell(self, News* news) except -1:
        """Tell what a section found out, after it."""
        if news.consumer != NULL:
            if news.lane_arrived:
                (<EdgeEnd>news.consumer).arrived(True)
            if news.arrived:
                (<EdgeEnd>news.consumer).arrived(False)
            Py_DECREF(<object>news.consumer)
        if news.producer != NULL:
            (<EdgeEnd>news.producer).room()
            Py_DECREF(<object>news.producer)
        return 0

    # ======================================================================================== life

    cdef int resize(self, Py_ssize_t capacity) except -1:
        """Change the capacity: more is handed out at once, less loses nothing."""
        acquire(self.mu)
        self.limit = capacity
        self.mu.unlock()
        return self.settle()

    cdef int shut(self) except -1:
        """Take nothing more in; every waiter is released, what is queued stays takeable."""
        cdef News news
        cdef bint first
        news.consumer = news.producer = NULL
        news.arrived = news.lane_arrived = False
        acquire(self.mu)
        first = not self.special & CLOSED
        self.special |= CLOSED
        while self.special & PUTTERS:
            self.free_waiter(&self.putters, PUTTERS, self.putters.first, SHUT)
        while self.special & LANE_PUTTERS:
            self.free_waiter(&self.lane_putters, LANE_PUTTERS, self.lane_putters.first, SHUT)
        while self.special & GETTERS:
            self.free_waiter(&self.getters, GETTERS, self.getters.first, RETRY)
        if first:
            self.want_consumer(&news)
            self.want_producer(&news)
        self.mu.unlock()
        if news.consumer != NULL:
            (<EdgeEnd>news.consumer).shut()
        if news.producer != NULL:
            (<EdgeEnd>news.producer).shut()
        return self.tell(&news)

    cdef int reopen(self) except -1:
        """For another run after one that sealed it: open and counting from zero. The first run finds what the user did
        before it (items put, inputs closed) as it is."""
        acquire(self.mu)
        self.sealed = False
        self.special &= ~(CLOSED | CONSUMER_IDLE | CONSUMER_LANE_IDLE | ROOM_WANTED | LANE_ROOM_WANTED)
        memset(&self.counts, 0, sizeof(Counts))
        self.counts.offered = self.counts.peak_depth = self.depth_peek()
        self.mu.unlock()
        return 0

    cdef int attach(self, EdgeEnd consumer, EdgeEnd producer, int64_t owner) except -1:
        """Join the ends of a run; the consumer is told at once of what lies here already."""
        cdef News news
        news.consumer = news.producer = NULL
        news.arrived = news.lane_arrived = False
        acquire(self.mu)
        swap_ends(self, consumer, producer)
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
        self.mu.unlock()
        return self.tell(&news)

    cdef int detach(self) except -1:
        """Forget the ends: from here on this queue wakes nobody of the run."""
        cdef EdgeEnd consumer = None
        cdef EdgeEnd producer = None
        acquire(self.mu)
        swap_ends(self, consumer, producer)
        self.owner = 0
        self.sealed = True
        self.special &= ~(CONSUMER_IDLE | CONSUMER_LANE_IDLE | ROOM_WANTED | LANE_ROOM_WANTED)
        self.mu.unlock()
        return 0

    cdef int clear_out(self, int64_t deferred, bint dropped) except -1:
        """Release what is queued and count it, with `deferred` items that never got in, as undelivered (or, for a node
        that was stopped, as dropped for `closed`). A putter that holds a claim finds its item gone."""
        cdef Ring data = new_ring(1)
        cdef Ring lane = new_ring(1)
        cdef KeyIndex index = new_index(data.size()) if self.index is not None else None
        cdef int64_t left
        acquire(self.mu)
        left = self.depth_peek() + deferred
        self.data.trade(data)
        self.lane.trade(lane)
        if index is not None:
            self.index.adopt(index)
        self.bytes = 0
        self.special &= ~LANE
        self.counts.offered += deferred
        if dropped:
            self.counts.dropped += left
            self.counts.dropped_closed += left
        else:
            self.counts.undelivered += left
        self.mu.unlock()
        return 0

    cdef int leave(self, int64_t deferred) except -1:
        """Count `deferred` items that never got in as undelivered; what is queued stays takeable (an exposed output)."""
        acquire(self.mu)
        self.counts.offered += deferred
        self.counts.undelivered += deferred
        self.mu.unlock()
        return 0

    cdef Py_ssize_t depth_peek(self) noexcept nogil:
        """Items here, data and lane: exact under the lock, else a moment old."""
        return peek(self.data.count) + peek(self.lane.count)


cdef inline object own(PyObject* got):
    """The reference that a section swapped out, as an object (no count changes hands)."""
    cdef object item = <object>got
    Py_DECREF(item)
    return item


cdef object unwrap(EdgeQueue queue, object held):
    """The item in a slot's content."""
    return (<Entry>held).item if queue.wraps and held is not None else held
