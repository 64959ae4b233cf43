# The critical sections of an edge's queue: putting, taking, leaving. It never waits; that is for the shell in
# wait.pyx.
#
# Each method is one critical section or a few, and calls Python, allocates and drops references only between them: what
# must be done there first (storage, expiry, a list for victims) is an answer of the section, which then looks again.
#
# Races thought of: a waiting putter times out while its item is moved (both under mu: `home` and `state` say which);
# a getter leaves after it was rung (leave_get rings the next); two putters merge into one item (conflate commits only
# if the item is unchanged); a consumer is detached while a putter is about to tell it (the putter took its own
# reference under mu, and a stopped run ignores news); a finalizer of a dropped item puts into this very queue (dropped
# after unlock); close() against everything (all of it re-checks CLOSED in its own section).
#
# Every method is called with the GIL (the thread attached), which no section lets go; see sync/lock.pxd.

from cpython.list cimport PyList_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XDECREF

from graphflow.core.edges.contents cimport (
    ANSWER_CLOSED,
    ANSWER_EVICT,
    ANSWER_EXPIRE,
    ANSWER_GROW,
    ANSWER_WAIT,
    CLOSED,
    CONSUMER_IDLE,
    CONSUMER_LANE_IDLE,
    GETTERS,
    LANE,
)
from graphflow.core.edges.ends cimport News, no_news, tell
from graphflow.core.edges.losses cimport LOST_CLOSED, LOST_DROPPED, LOST_ERROR, LOST_REPLACED, lost
from graphflow.core.edges.policy cimport (
    POLICY_DROP,
    POLICY_LATEST,
    VERDICT_DROPPED,
    VERDICT_OK,
    VERDICT_REPLACED,
    PolicyKind,
)
from graphflow.core.edges.slot cimport Entry
from graphflow.core.edges.ttl cimport EdgeExpiry
from graphflow.core.metrics.histogram cimport sampled
from graphflow.core.metrics.queue_times cimport item_left, mark, unmark
from graphflow.core.sync.lock cimport acquire, peek
from graphflow.core.sync.mutants cimport planted
from graphflow.core.sync.parking cimport RETRY, SHUT, Wait, enlist, let_go, unlist


cdef class EdgeQueue(EdgeExpiry):
    """The queue of one edge, for the runtime and for Edge."""

    # ======================================================================================== the edge's part

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
            if self.times != NULL and sampled(&self.times.sampler):
                mark(self.times, self.data.count, self.clock.now_ns())
            self.counts.offered += 1
            if self.data.count > self.counts.peak_depth:
                self.counts.peak_depth = self.data.count
            stored = True
        self.unlock_plain()
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
        cdef bint starved = False
        no_news(&news)
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
                    answer = self.await_claim(wait, want_room)
                elif surplus > 1 and (victims is None or PyList_GET_SIZE(victims) < surplus):
                    answer = ANSWER_EVICT
                else:
                    self.evict(&victim, victims, surplus)
                    self.store(&mine, size, &news)
                    self.room_made(&news)
                    starved = self.starved()
                    answer = VERDICT_REPLACED
            elif self.fits(size) and not (kind != POLICY_LATEST and self.behind_others(wait)):
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
            if answer <= ANSWER_WAIT and not control:
                self.came_back(wait, answer)
            self.unlock()
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
        if starved:
            self.settle()
        tell(&news)
        if answer == VERDICT_DROPPED:
            lost(self, LOST_DROPPED, peek(self.counts.dropped))
        elif answer == VERDICT_REPLACED:
            lost(self, LOST_REPLACED, peek(self.counts.replaced))
        return answer

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
        self.came_back(wait, answer)
        self.unlock()
        if answer == VERDICT_DROPPED:
            lost(self, LOST_DROPPED, peek(self.counts.dropped))
        return answer

    cdef int note_dropped(self, bint by_error) except -1:
        """Count a copy that an emit could not deliver: the edge is closed, or its policy failed."""
        acquire(self.mu)
        self.counts.offered += 1
        self.counts.dropped += 1
        if by_error:
            self.counts.dropped_error += 1
        else:
            self.counts.dropped_closed += 1
        self.unlock()
        return lost(self, LOST_ERROR if by_error else LOST_CLOSED, peek(self.counts.dropped))

    # ======================================================================================== taking

    cdef object take_plain(self):
        """The fast path: the oldest data item, or None where the queue is empty or anything special is to be done."""
        cdef PyObject* got = <PyObject*>None
        Py_INCREF(None)
        acquire(self.mu)
        if not self.special & TAKE_SLOW and self.data.count > 0:
            self.data.pop(&got)
            if self.times != NULL and item_left(self.times):
                unmark(self.times, True, self.clock.now_ns())
            self.counts.delivered += 1
        self.unlock_plain()
        return own(got)

    cdef object take_data(self, bint attend):
        """The oldest data item, or None. `attend`: the caller is the consumer and wants to be told of the next one."""
        cdef PyObject* got = <PyObject*>None
        cdef News news
        cdef bint again = True
        cdef bint starved = False
        no_news(&news)
        Py_INCREF(None)
        while again:
            acquire(self.mu)
            again = self.overdue()
            if not again:
                if self.takeable():
                    self.remove(&got, True)
                    self.counts.delivered += 1
                    if self.special & TAKE_SLOW:
                        self.room_made(&news)
                        starved = self.starved()
                elif attend and not planted("stale look"):
                    self.special |= CONSUMER_IDLE
            self.unlock()
            if planted("stale look") and attend and not again and got == <PyObject*>None:
                acquire(self.mu)
                self.special |= CONSUMER_IDLE if self.data.count == 0 else 0
                self.unlock()
            if again:
                self.expire()
        if starved:
            self.settle()
        tell(&news)
        return unwrap(self, own(got))

    cdef object take_lane(self, bint attend):
        """The oldest control message, or None; `attend` as for take_data."""
        cdef PyObject* got = <PyObject*>None
        cdef News news
        no_news(&news)
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
        self.unlock()
        tell(&news)
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
            missed = bool(self.special & LANE) or self.takeable()
            if not missed and self.special & CLOSED and self.data.count == 0:
                wait.state = SHUT
            elif not missed:
                enlist(&self.getters, wait)
                self.show_waiters()
            self.unlock()
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
        cdef PyObject* owner
        cdef bint starved
        cdef News news
        no_news(&news)
        acquire(self.mu)
        if wait.home != NULL:
            unlist(wait)
        self.came_back(wait, ANSWER_CLOSED)
        self.show_waiters()
        if wait.fixed and not planted("small one left out"):
            self.room_made(&news)       # the next in line may be smaller
        starved = self.starved()
        owner = let_go(wait)
        self.unlock()
        Py_XDECREF(owner)
        if starved:
            self.settle()
        tell(&news)
        return 0

    cdef int leave_get(self, Wait* wait) except -1:
        """A getter stops waiting: it was rung and has taken its item, or it gives up. Where there is more to take (one
        ring may stand for many items, or is not used) the next getter is rung (I6)."""
        cdef PyObject* owner
        acquire(self.mu)
        if wait.home != NULL:
            unlist(wait)
            self.show_waiters()
        elif self.special & GETTERS and not planted("kept ring") and (
            self.special & LANE or self.takeable()
            or (self.special & CLOSED and self.data.count == 0)
        ):
            self.free_waiter(self.getters.first, RETRY)
        owner = let_go(wait)
        self.unlock()
        Py_XDECREF(owner)
        return 0

cdef inline object own(PyObject* got):
    """The reference that a section swapped out, as an object (no count changes hands)."""
    cdef object item = <object>got
    Py_DECREF(item)
    return item


cdef object unwrap(EdgeQueue queue, object held):
    """The item in a slot's content."""
    return (<Entry>held).item if queue.wraps and held is not None else held
