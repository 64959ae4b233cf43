from graphflow.core.edges.contents cimport (
    ASKED,
    BYTES,
    CARRIES,
    CLAIMED,
    CLOSED,
    CONSUMER_IDLE,
    GETTERS,
    KEYED,
    LANE,
    PUTTERS,
    REFUSED,
    ROOM_WANTED,
    TTL,
)
from graphflow.core.edges.policy cimport PolicyKind
from graphflow.core.edges.ttl cimport EdgeExpiry
from graphflow.core.sync.parking cimport Wait

cdef enum:
    # special bits that take a put, or a take of data, off the fast path
    PUT_SLOW = CLOSED | TTL | BYTES | KEYED | PUTTERS | LANE | GETTERS | CONSUMER_IDLE | ASKED | CARRIES
    TAKE_SLOW = TTL | BYTES | KEYED | PUTTERS | LANE | CLAIMED | ROOM_WANTED | REFUSED

cdef class EdgeQueue(EdgeExpiry):
    # ---- the edge's part --------------------------------------------------------------------------------------------
    cdef Py_ssize_t measure(self, object payload, bint bound) except -1

    # ---- with no lock held: each is one or a few critical sections -----------------------------------------------
    cdef bint put_plain(self, object item) noexcept
    cdef int enter(
        self, object held, PolicyKind kind, bint forced, bint control, Wait* wait, bint want_room
    ) except -1
    cdef int enter_not(self, bint dropped, Wait* wait, bint want_room) except -1
    cdef int note_dropped(self, bint by_error) except -1
    cdef object take_plain(self)
    cdef object take_data(self, bint attend)
    cdef object take_lane(self, bint attend)
    cdef object take_any(self, Wait* wait)
    cdef list take_many(self, Py_ssize_t most)
    cdef int withdraw(self, Wait* wait, bint control) except -1
    cdef int leave_get(self, Wait* wait) except -1

cdef object unwrap(EdgeQueue queue, object held)
