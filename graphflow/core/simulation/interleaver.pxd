from cpython.pythread cimport PyThread_type_lock
from graphflow.core.sync.clock cimport Clock
from graphflow.core.sync.lock cimport Bell
from graphflow.core.sync.parking cimport Wait
from libc.stdint cimport int64_t, uint64_t

cdef enum Waits:
    # What an actor waits for, apart from the time `until_ns`.
    NOTHING         # it can go on
    TIME
    BELL            # `bell` to be rung
    RING            # `wait` to be rung
    CONDITION       # `condition()` to be true
    GONE            # it has left for good

cdef class SimulatedClock(Clock):
    cdef int64_t time_ns

cdef class Rules:
    # What must hold wherever threads can interleave; see engine.pyx.
    cdef str broken(self)
    cdef str broken_at_rest(self)

cdef class Actor:
    # A thread of a simulation. Only the thread that holds the baton touches any of this, but for `gate`.
    cdef readonly Baton baton
    cdef readonly str name
    cdef readonly int number
    cdef PyThread_type_lock gate    # held; let go by whoever hands the baton to this actor
    cdef Waits waits
    cdef int64_t until_ns
    cdef Bell* bell
    cdef Wait* wait
    cdef object condition
    cdef int rank                   # where the seed orders the actors: the highest that can go on does
    cdef public int muted           # hooks of the user's on its stack: nobody else goes on before they return

    cdef int await_ring(self, Wait* wait, int64_t timeout_ns) except -1
    cdef bint await_bell(self, Bell* bell, int64_t until_ns) except -1
    cdef bint halt(self, Waits waits, int64_t until_ns) except -1
    cdef bint must_report(self) noexcept

cdef class Baton:
    cdef readonly list actors
    cdef readonly SimulatedClock clock
    cdef readonly list trace        # (step, ns since the start, actor, what)
    cdef readonly int64_t steps
    cdef readonly str failure       # what went wrong first
    cdef readonly bint abandoned    # everybody leaves: waits raise
    cdef bint winding_up            # the first actor knows of the failure
    cdef public double put_timeouts  # chance that a put that has to wait is out of time at once
    cdef Rules rules
    cdef Actor holder
    cdef uint64_t state             # of the random numbers
    cdef int64_t most_steps
    cdef double stickiness          # chance that the holder just goes on
    cdef bint ranked

    cdef uint64_t draw(self) noexcept
    cdef bint luck(self, double chance) noexcept
    cdef void step(self, Actor me) noexcept
    cdef int hand_over(self, Actor me) except -1
    cdef int pass_on(self, Actor me, Actor following) except -1
    cdef Actor choose(self, Actor me)
    cdef Actor ready_one(self)
    cdef bint is_ready(self, Actor actor) except -1
    cdef int let_time_pass(self) except -1
    cdef int check(self) except -1
    cdef int abandon(self) except -1

cdef void give_way() noexcept
