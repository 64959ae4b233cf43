# One thread at a time: what a simulation does wherever threads could interleave.
#
# The threads of a simulated run are actors. One of them holds the baton and runs; all others sleep on their gates.
# Where another thread could come in between, the holder lets the seed choose who goes on: before each critical section
# (the `before` of the run's locks is give_way), and where it waits. So every choice is the seed's, and the same seed
# makes the same run. Nobody holds a lock of the core's at such a place, so what is seen there is what a thread could
# see.
#
# Waiting is a reason and a time. A wait is over when its reason holds, or its time has come, but the actor only finds
# that out when it is chosen: a wake-up may be seen late. If nobody can go on, time jumps to the earliest that somebody
# waits for, and if nobody waits for any, the simulation has failed: in a real run these threads would sleep for ever.
#
# A bell is modelled strictly: it lets go on as many as were rung, and who was not rung stays (sync/lock.pxd).
#
# Between the choice and the letting go of the gate nobody runs, and the one that is chosen runs only then: `holder`,
# and everything else in here, is guarded by holding the baton.

from cpython.pythread cimport (
    PyThread_acquire_lock,
    PyThread_allocate_lock,
    PyThread_free_lock,
    PyThread_release_lock,
)
from libc.stdint cimport int64_t, uint64_t

from graphflow.core.dispatch.timers cimport NEVER
from graphflow.core.sync.clock cimport Clock
from graphflow.core.sync.lock cimport Bell
from graphflow.core.sync.parking cimport CENTURY_NS, WAITING, Wait
from graphflow.core.sync.thread_state cimport here

cdef enum:
    STEP_NS = 100           # what a step takes
    START_NS = 1_000_000_000  # zero means "never" in some places of the core
    LEAVING_STEPS = 100_000   # that everybody has to leave after a failure
    CHANGES = 32            # steps, of which one changes the order of ranks

# As variables: Cython would make Python numbers of constants as large as these.
cdef uint64_t GOLDEN = <uint64_t>0x9E3779B9 << 32 | <uint64_t>0x7F4A7C15
cdef uint64_t STAR = <uint64_t>0x2545F491 << 32 | <uint64_t>0x4F6CDD1D

cdef double[4] STICKINESS = [0.0, 0.5, 0.9, 0.98]


class Abandoned(BaseException):
    """Raised where an actor waits, when the simulation has failed and everybody has to leave."""


cdef class SimulatedClock(Clock):
    """Time that passes when the simulation lets it."""

    def __cinit__(self):
        self.time_ns = START_NS

    cdef int64_t now_ns(self) noexcept nogil:
        return self.time_ns

    def advance(self, double seconds):
        """Let so much time pass."""
        self.time_ns += <int64_t>(seconds * 1e9)

    def since_start(self):
        """Seconds since the simulation began."""
        return (self.time_ns - START_NS) / 1e9


cdef class Rules:
    """What must hold; see the declarations."""

    cdef str broken(self):
        """What is wrong now, between two critical sections; None for nothing."""
        return None

    cdef str broken_at_rest(self):
        """What is wrong although nobody can go on before time passes; None for nothing."""
        return None


cdef class Actor:
    """A thread of a simulation; see the declarations."""

    def __cinit__(self, Baton baton, str name, int number):
        self.baton = baton
        self.name = name
        self.number = number
        self.gate = PyThread_allocate_lock()
        if self.gate == NULL:
            raise MemoryError
        PyThread_acquire_lock(self.gate, 1)

    def __dealloc__(self):
        if self.gate != NULL:
            PyThread_acquire_lock(self.gate, 0)
            PyThread_release_lock(self.gate)
            PyThread_free_lock(self.gate)

    def enter(self):
        """On the actor's own thread: begin, when it is first chosen."""
        here().actor = <void*>self
        with nogil:
            PyThread_acquire_lock(self.gate, 1)

    def leave(self):
        """On the actor's own thread: end, and let others go on."""
        here().actor = NULL
        self.waits = GONE
        self.baton.pass_on(None, self.baton.choose(self))

    def sleep(self, double seconds):
        """Let so much time pass."""
        self.halt(TIME, self.baton.clock.time_ns + <int64_t>(seconds * 1e9))

    def await_condition(self, condition, timeout_s):
        """Wait until `condition()` holds (True) or `timeout_s` seconds (None: any time) have passed (False)."""
        cdef int64_t until = NEVER
        if timeout_s is not None:
            until = self.baton.clock.time_ns + <int64_t>(min(timeout_s, 1e9) * 1e9)
        self.condition = condition
        self.halt(CONDITION, until)
        self.condition = None
        return bool(condition())

    cdef int await_ring(self, Wait* wait, int64_t timeout_ns) except -1:
        """Waiter.park() of a simulation."""
        cdef int64_t until = NEVER
        if timeout_ns >= 0:
            until = self.baton.clock.time_ns + min(timeout_ns, CENTURY_NS)
            if wait.item != <void*>None and self.baton.luck(self.baton.put_timeouts):
                return 0
        self.wait = wait
        self.halt(RING, until)
        self.wait = NULL
        return PyThread_acquire_lock(wait.bell, 0)

    cdef bint await_bell(self, Bell* bell, int64_t until_ns) except -1:
        """Wait until `bell`, at which the actor listens, is rung, or `until_ns` has come."""
        self.bell = bell
        return self.halt(BELL, until_ns)

    cdef bint halt(self, Waits waits, int64_t until_ns) except -1:
        """Wait, and let others go on meanwhile."""
        self.waits = waits
        self.until_ns = until_ns
        try:
            self.baton.hand_over(self)
        finally:
            self.waits = NOTHING
        if waits != BELL and (self.baton.abandoned or self.must_report()):
            raise Abandoned
        return True

    cdef bint must_report(self) noexcept:
        """Is this the first actor, whose waiting a failure has ended?"""
        return self.number == 0 and self.baton.failure is not None and not self.baton.winding_up


cdef class Baton:
    """The choice who goes on. The thread that makes it is the first actor, and holds the baton; it has to be the last
    to leave. A failure lets it go on, whatever it waits for."""

    def __cinit__(self, uint64_t seed, int64_t most_steps):
        self.actors = []
        self.trace = []
        self.clock = SimulatedClock()
        self.rules = Rules()
        self.most_steps = most_steps
        self.state = seed * GOLDEN + STAR
        if self.state == 0:
            self.state = 1
        for _ in range(8):
            self.draw()
        self.stickiness = STICKINESS[self.draw() % 4]
        self.ranked = self.draw() % 4 == 0

    def adopt(self, name):
        """Make the calling thread the first actor."""
        self.holder = self.enlist(name)
        here().actor = <void*>self.holder
        return self.holder

    def disown(self):
        """The calling thread, the first actor, is no actor any more."""
        here().actor = NULL

    def enlist(self, name):
        """An actor for a thread that is about to be started, which has to call enter() and leave()."""
        actor = Actor(self, name, len(self.actors))
        (<Actor>actor).rank = <int>(self.draw() % 1000)
        self.actors.append(actor)
        return actor

    def strike(self, Actor actor):
        """The thread could not be started."""
        actor.waits = GONE

    def gone(self, Actor actor):
        """Has the actor left?"""
        return actor.waits == GONE

    @property
    def alone(self):
        """Has everybody left but the first actor?"""
        cdef Actor actor
        for actor in self.actors:
            if actor.waits != GONE and actor.number > 0:
                return False
        return True

    def left(self):
        """Names of the actors that have not left, but for the first, and what each waits for."""
        words = {NOTHING: "can go on", TIME: "sleeps", BELL: "waits for work", RING: "waits at an edge",
                 CONDITION: "waits for the run"}
        return [f"{(<Actor>actor).name} {words[(<Actor>actor).waits]}" for actor in self.actors
                if (<Actor>actor).waits != GONE and (<Actor>actor).number > 0]

    # ======================================================================================== the seed

    cdef uint64_t draw(self) noexcept:
        """xorshift64*"""
        self.state ^= self.state >> 12
        self.state ^= self.state << 25
        self.state ^= self.state >> 27
        return (self.state * STAR) >> 16

    cdef bint luck(self, double chance) noexcept:
        return chance > 0 and self.random() < chance

    def random(self):
        """A number from 0 up to 1."""
        return <double>self.draw() / <double>(<uint64_t>1 << 48)

    def below(self, uint64_t limit):
        """A whole number from 0 up to `limit`."""
        return self.draw() % limit

    # ======================================================================================== who goes on

    cdef void step(self, Actor me) noexcept:
        """The holder has come to a place where somebody else could."""
        try:
            self.hand_over(me)
        except Exception as error:
            self.fail(f"the simulation itself raised {error!r}")

    cdef int hand_over(self, Actor me) except -1:
        """Let the seed choose; returns when `me` is chosen."""
        return self.pass_on(me, self.choose(me))

    cdef int pass_on(self, Actor me, Actor following) except -1:
        """`me` None: it has left."""
        if following is me or following is None:
            return 0
        self.trace.append((self.steps, self.clock.time_ns - START_NS, following.name, "goes on"))
        self.holder = following
        PyThread_release_lock(following.gate)
        if me is not None:
            with nogil:
                PyThread_acquire_lock(me.gate, 1)
        return 0

    cdef Actor choose(self, Actor me):
        """Who goes on."""
        cdef Actor found
        self.steps += 1
        self.clock.time_ns += STEP_NS
        if self.failure is None:
            self.check()
        elif self.winding_up and self.steps > self.most_steps:
            if self.abandoned:
                return <Actor>self.actors[0]    # some do not leave even so
            self.abandon()
        if me.waits == NOTHING and self.stickiness > 0 and self.luck(self.stickiness):
            return me
        while True:
            found = self.ready_one()
            if found is not None:
                return found
            self.let_time_pass()

    cdef Actor ready_one(self):
        """One that can go on, None if nobody can."""
        cdef Actor actor
        cdef Actor best = None
        cdef int seen = 0
        cdef int lowest = 0
        for actor in self.actors:
            if not self.is_ready(actor):
                continue
            seen += 1
            if self.ranked:
                if best is None or actor.rank > best.rank:
                    best = actor
            elif self.draw() % seen == 0:       # each with the same chance, in one pass
                best = actor
        if self.ranked and best is not None and self.draw() % CHANGES == 0:
            for actor in self.actors:
                lowest = min(lowest, actor.rank)
            best.rank = lowest - 1
        return best

    cdef bint is_ready(self, Actor actor) except -1:
        if actor.waits == GONE:
            return False
        if actor.waits == NOTHING or self.abandoned or actor.until_ns <= self.clock.time_ns:
            return True
        if actor.must_report():
            return True
        if actor.waits == BELL:
            return actor.bell.rung > 0
        if actor.waits == RING:
            return actor.wait.state != WAITING
        return actor.waits == CONDITION and actor.condition()

    cdef int let_time_pass(self) except -1:
        """Nobody can go on: what must hold at rest is looked at, and time jumps to when somebody can."""
        cdef int64_t earliest = NEVER
        cdef Actor actor
        cdef str wrong
        if self.failure is None:
            wrong = self.rules.broken_at_rest()
            if wrong is not None:
                return self.fail(wrong)
        for actor in self.actors:
            if actor.waits != GONE:
                earliest = min(earliest, actor.until_ns)
        if earliest == NEVER and self.failure is not None:
            return self.abandon()
        if earliest == NEVER:
            return self.fail(f"nothing can go on, and nobody waits for a time: {'; '.join(self.left())}")
        self.clock.time_ns = max(self.clock.time_ns, earliest)
        return 0

    cdef int check(self) except -1:
        cdef str wrong = self.rules.broken()
        if wrong is not None:
            return self.fail(wrong)
        if self.steps > self.most_steps:
            return self.fail(f"it has not ended in {self.most_steps} steps; it may do so for ever")
        return 0

    def fail(self, str what):
        """Something is wrong; the first such thing is kept."""
        if self.failure is None:
            self.failure = what
            self.note(f"failed: {what}")
        return 0

    cdef int abandon(self) except -1:
        """Let everybody go on, and out of what they wait for."""
        self.abandoned = True
        self.most_steps = self.steps + LEAVING_STEPS
        return 0

    def wind_up(self):
        """After a failure, by the first actor: it waits for the others again, who now leave or are made to."""
        self.winding_up = True
        self.most_steps = self.steps + LEAVING_STEPS

    def allow(self, int64_t steps):
        """Let the simulation take so many steps more, at most."""
        self.most_steps = self.steps + steps

    def note(self, str what):
        """Add to the trace what the present holder does."""
        self.trace.append((self.steps, self.clock.time_ns - START_NS, self.holder.name, what))


def acting():
    """The actor that the calling thread is, None outside simulations."""
    return <Actor>here().actor if here().actor != NULL else None


cdef void give_way() noexcept:
    """The `before` of the locks of a simulated run."""
    cdef Actor me
    if here().actor != NULL:
        me = <Actor>here().actor
        if me.muted == 0:
            me.baton.step(me)
