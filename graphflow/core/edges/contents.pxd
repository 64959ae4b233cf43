from cpython.object cimport PyObject
from libc.stdint cimport int64_t

from graphflow.core.edges.ends cimport EdgeEnd, News
from graphflow.core.edges.key_index cimport KeyIndex
from graphflow.core.edges.policy cimport PolicyKind
from graphflow.core.edges.ring cimport Ring
from graphflow.core.messages.port cimport PortSpec
from graphflow.core.metrics.queue_times cimport QueueTimes
from graphflow.core.sync.clock cimport Clock
from graphflow.core.sync.lock cimport DEBUG, LeafLock, peek
from graphflow.core.sync.parking cimport Wait, WaitList, WaitState

cdef enum Special:
    # Anything that takes a put or a get off its fast path. Guarded by the queue's lock.
    CLOSED = 1              # takes nothing more in
    TTL = 2                 # items expire
    BYTES = 4               # bounded by bytes too, or sized
    KEYED = 8               # conflates by key
    PUTTERS = 16            # `putters` is not empty, or one of them is `returning`
    LANE_PUTTERS = 32       # `lane_putters` is not empty
    GETTERS = 64            # `getters` is not empty
    CLAIMED = 128           # `claim` or `batch` is set
    CONSUMER_IDLE = 256     # the consumer has seen the data empty and is told of the next item
    CONSUMER_LANE_IDLE = 512
    ROOM_WANTED = 1024      # the producer has seen the data full and is told of the next room
    LANE_ROOM_WANTED = 2048
    LANE = 4096             # the control lane is not empty
    REFUSED = 16384         # data was refused, and there has been no room since
    CARRIES = 65536         # each item takes the putter's context along: messages/context_vars.pyx (32768: forked.pxd)
    ASKED = 8192            # the edge's policy is the user's and is asked at every put

cdef enum:
    ANSWER_CLOSED = 64      # beside the verdicts: the edge is closed, nothing happened
    ANSWER_WAIT = 65        # the wait is listed
    # and within a call, what must be done without the lock before it looks again
    ANSWER_GROW = 66        # more storage
    ANSWER_EXPIRE = 67      # the overdue items out
    ANSWER_EVICT = 68       # a list to evict into

cdef struct Counts:
    # Counting (docs/semantics.md): offered = delivered + dropped + replaced + coalesced + expired + depth + undelivered
    int64_t offered
    int64_t delivered
    int64_t peak_depth          # these three share the cache line of the lock's neighbours: a plain put needs no other
    int64_t dropped
    int64_t dropped_closed      # of `dropped`: emitted to a closed edge, or queued for a node that was stopped
    int64_t dropped_error       # of `dropped`: the user's policy failed on an emit
    int64_t replaced
    int64_t coalesced
    int64_t expired
    int64_t undelivered
    int64_t dropped_queued      # of `dropped`: queued for a node that was stopped
    int64_t blocked
    int64_t blocked_ns          # from a refusal to the next room, of data and of control together
    int64_t merge_errors

cdef class EdgeContents:
    cdef LeafLock mu
    # ---- guarded by mu ------------------------------------------------------------------------------------------
    cdef int special            # Special bits
    cdef Ring data
    cdef Ring lane              # control messages
    cdef Py_ssize_t limit       # capacity in items
    cdef QueueTimes* times      # how long items lie here; NULL where that is not measured
    cdef Counts counts
    cdef Py_ssize_t bytes       # of the queued items, on an edge that is sized
    cdef WaitList putters
    cdef Wait* returning        # a putter that was rung to look again: until it has, nobody goes in before it
    cdef WaitList claim_waiters  # putters that wait for a claim to be released, not for room
    cdef WaitList lane_putters
    cdef WaitList getters
    cdef Wait* rung             # first and last of those that were rung and are called after the lock (deliver)
    cdef Wait* last_rung
    cdef EdgeEnd consumer       # None outside a run
    cdef EdgeEnd producer
    cdef PyObject* claim        # item in the data that its putter is merging into for good; borrowed from its slot
    cdef unsigned long claim_thread
    cdef Py_ssize_t batch       # the oldest items, so many, are in the consumer's hands; their slots hold None
    cdef int64_t handed         # of those, its handler was called with; counted without mu, see batches.pyx
    cdef KeyIndex index         # of a keyed edge
    cdef int64_t head_sequence  # sequence number of the oldest item, on a keyed edge
    cdef int64_t next_expiry_ns  # no item of a keyed edge expires before
    cdef int64_t refused_ns     # when that began (REFUSED)
    cdef int64_t lane_refused_ns  # the same for control, 0 while nothing is refused there
    cdef int64_t owner          # token of the scheduler that runs this edge, 0 outside a run
    cdef bint sealed            # a run has ended here: the next one starts it afresh
    cdef readonly str id        # names both ends; set again when the edge's graph is registered
    # ---- a hint for the log; guarded by nothing, see losses.pyx --------------------------------------------------
    cdef int64_t loss_said_ns
    # ---- set while nobody else has the edge: at construction, and by a run on another clock as it attaches ---------
    cdef Clock clock
    # ---- fixed at construction ----------------------------------------------------------------------------------
    cdef readonly PortSpec spec  # what payloads are checked against, or None
    cdef PolicyKind policy_kind
    cdef object policy          # the edge's own
    cdef Py_ssize_t lane_limit
    cdef Py_ssize_t byte_limit  # 0: unbounded
    cdef object size_of         # payload -> bytes, or None
    cdef int64_t ttl_ns         # 0: items do not expire
    cdef bint wraps             # slots of `data` hold an Entry

    cdef inline bint takeable(self) noexcept:
        # Under the lock: is there a data item that is nobody's yet?
        return self.data.count > self.batch and self.data.at(self.batch)[0] != self.claim

    cdef inline int64_t in_batch_handed(self) noexcept nogil:
        # Under the lock: items that still lie here and were delivered.
        return peek(self.handed) if self.batch > 0 else 0

    cdef inline void show_claims(self) noexcept:
        # Under the lock: set the bit to what holds.
        self.special &= ~CLAIMED
        if self.claim != NULL or self.batch > 0:
            self.special |= CLAIMED

    cdef inline void unlock(self) noexcept:
        # Calls those that were rung and wait in an event loop: any Python may run, and the edge change, in here.
        cdef bint rung = self.rung != NULL
        self.unlock_plain()
        if rung:
            self.deliver()

    cdef inline void unlock_plain(self) noexcept:
        # For a section that has rung nobody.
        if DEBUG:
            self.check()
        self.mu.unlock()

    # ---- under the lock --------------------------------------------------------------------------------------------
    cdef void check(self) noexcept
    cdef bint fits(self, Py_ssize_t size) noexcept
    cdef Py_ssize_t surplus(self, Py_ssize_t size, bint forced) noexcept
    cdef void store(self, PyObject** held, Py_ssize_t size, News* news) noexcept
    cdef void remove(self, PyObject** held, bint delivered) noexcept
    cdef void accepts_again(self) noexcept
    cdef void lane_accepts_again(self) noexcept
    cdef int64_t blocked_ns(self) noexcept
    cdef int refuse(self, Wait* wait, bint want_room, bint control) noexcept
    cdef int await_claim(self, Wait* wait, bint want_room) noexcept
    cdef int enter_lane(self, PyObject** held, Wait* wait, bint want_room, News* news) noexcept
    cdef void arrival(self, News* news) noexcept
    cdef void lane_arrival(self, News* news) noexcept
    cdef bint claimed_within(self, Py_ssize_t count) noexcept
    cdef void evict(self, PyObject** one, list many, Py_ssize_t count) noexcept
    cdef void room_made(self, News* news) noexcept
    cdef void lane_room_made(self, News* news) noexcept
    cdef bint starved(self) noexcept
    cdef void free_waiter(self, Wait* wait, WaitState state) noexcept
    cdef PyObject* take_rung(self) noexcept
    cdef void show_waiters(self) noexcept
    cdef bint behind_others(self, Wait* wait) noexcept
    cdef void call_back(self, Wait* wait) noexcept
    cdef void came_back(self, Wait* wait, int answer) noexcept
    cdef void want_consumer(self, News* news) noexcept
    cdef void want_producer(self, News* news) noexcept
    cdef void reindex(self) noexcept
    cdef Py_ssize_t depth_peek(self) noexcept nogil

    # ---- with no lock held -----------------------------------------------------------------------------------------
    cdef void deliver(self) noexcept
