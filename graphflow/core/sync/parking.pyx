# The shell that waits: it parks the calling thread and is woken; what to wait for is the edge's decision.
#
# Why no wake-up is lost:   waiter:      lock edge; see "full" (or "empty"); enlist; unlock;   park (take the bell)
#                           room maker:  lock edge; make room; move or unlist; ring; unlock
# The bell is taken before the wait is listed and rung once under the edge's lock, and it keeps a ring that comes before
# the park, so there is no moment between looking and sleeping in which a ring could pass unheard. A waiter that stops
# waiting (timeout, Ctrl-C) unlists itself under the same lock, so its state then says once and for all whether its item
# went in; a getter that was already rung and leaves hands its ring on (EdgeQueue.leave_get).
#
# The bell is an interpreter lock taken with interrupts allowed: on the main thread Ctrl-C ends the wait at once, and
# nothing polls. The GIL is released while parked. Ringing never blocks, allocates or needs the GIL.
#
# A coroutine has no thread to park: its wait has no bell, and a ring puts it into the edge's line of those to be called
# (EdgeContents.rung), from where the thread that rang calls it after it has let the lock go (deliver). Why that loses
# no wake-up:               coroutine:   lock edge; see "full"; enlist; unlock;   suspend
#                           room maker:  lock edge; make room; move or unlist; ring: state, into the line; unlock
#                                        lock edge; take it out of the line; unlock; call the loop: wake the coroutine
# The call is made after the state is set, and whatever changes the state again while the wait is still in the line is
# seen by that same call. The loop runs the wake as a callback of its own, which can't come between the coroutine's look
# and its suspension; and each section that rings ends with an unlock that empties the line.
#
# While it is listed or rung such a wait owns a reference to its Waiter, so one that is cancelled, or whose coroutine
# is gone, leaves nothing dangling. It is counted up under the lock, which runs nothing, and down after it.

import threading

from cpython.exc cimport PyErr_CheckSignals
from cpython.object cimport PyObject
from cpython.pythread cimport (
    PyThread_acquire_lock,
    PyThread_allocate_lock,
    PyThread_free_lock,
    PyThread_release_lock,
    PyThread_type_lock,
)
from cpython.ref cimport Py_INCREF, Py_XDECREF

from graphflow.core.simulation.interleaver cimport Actor
from graphflow.core.sync.clock cimport SYSTEM_CLOCK
from graphflow.core.sync.thread_state cimport here

cdef extern from "pythread.h":
    ctypedef enum PyLockStatus:
        PY_LOCK_FAILURE
        PY_LOCK_ACQUIRED
        PY_LOCK_INTR
    PyLockStatus PyThread_acquire_lock_timed(PyThread_type_lock, long long microseconds, int intr_flag) nogil

cdef int64_t CENTURY_NS = 100 * 366 * 86_400 * 1_000_000_000    # far enough, and no sum of two overflows
cdef double TIMEOUT_MAX = threading.TIMEOUT_MAX


cdef class Waiter:
    """Owner of one Wait, on the frame of the blocked call."""

    def __dealloc__(self):
        if self.wait.bell != NULL:
            PyThread_acquire_lock(self.wait.bell, 0)    # rung or not, it is released exactly once
            PyThread_release_lock(self.wait.bell)
            PyThread_free_lock(self.wait.bell)
        Py_XDECREF(self.wait.item)

    cdef int park(self, int64_t timeout_ns) except -1:
        """Sleep until rung (1) or until `timeout_ns` has passed (0); < 0 sleeps without limit. Raises what a signal
        handler raises, with the wait still listed."""
        cdef int64_t until = SYSTEM_CLOCK.now_ns() + min(timeout_ns, CENTURY_NS)
        cdef long long microseconds
        cdef PyLockStatus status
        if here().actor != NULL:
            return (<Actor>here().actor).await_ring(&self.wait, timeout_ns)
        while True:
            microseconds = -1 if timeout_ns < 0 else max(0, until - SYSTEM_CLOCK.now_ns() + 999) // 1000
            with nogil:
                status = PyThread_acquire_lock_timed(self.wait.bell, microseconds, 1)
            if status == PY_LOCK_ACQUIRED:
                return 1
            if status == PY_LOCK_FAILURE:
                return 0
            PyErr_CheckSignals()

    cdef bint call(self) noexcept:
        """With no lock held: it was rung and has no bell. False: there is nobody left to wake."""
        return False

    cdef void give_up(self) noexcept:
        """With no lock held: there is nobody left to wake; what it was rung for goes to the next."""


cdef Waiter new_waiter(object item, Py_ssize_t size, bint fixed):
    """A waiter that sleeps on a bell."""
    cdef Waiter waiter = Waiter()
    set_item(waiter, item, size, fixed)
    waiter.wait.bell = PyThread_allocate_lock()
    if waiter.wait.bell == NULL:
        raise MemoryError
    PyThread_acquire_lock(waiter.wait.bell, 1)
    return waiter


cdef int set_item(Waiter waiter, object item, Py_ssize_t size, bint fixed) except -1:
    """Say what a putter waits with, before it is first listed (a getter waits with None)."""
    cdef PyObject* before = waiter.wait.item
    Py_INCREF(item)
    waiter.wait.item = <PyObject*>item
    waiter.wait.size = size
    waiter.wait.fixed = fixed
    Py_XDECREF(before)
    return 0


cdef void enlist(WaitList* waits, Wait* wait) noexcept:
    """Add `wait` at its place in line: the back, or where it stood if it has waited before."""
    cdef Wait* behind = <Wait*>NULL
    if wait.owner != NULL and not wait.held:
        wait.held = True
        Py_INCREF(<object>wait.owner)
    if wait.ticket == 0:
        waits.tickets += 1
        wait.ticket = waits.tickets
    else:
        behind = waits.first
        while behind != NULL and behind.ticket < wait.ticket:
            behind = behind.next
    wait.state = WAITING
    wait.home = waits
    wait.next = behind
    wait.previous = behind.previous if behind != NULL else waits.last
    if wait.previous != NULL:
        wait.previous.next = wait
    else:
        waits.first = wait
    if behind != NULL:
        behind.previous = wait
    else:
        waits.last = wait


cdef void unlist(Wait* wait) noexcept nogil:
    if wait.previous != NULL:
        wait.previous.next = wait.next
    else:
        wait.home.first = wait.next
    if wait.next != NULL:
        wait.next.previous = wait.previous
    else:
        wait.home.last = wait.previous
    wait.home = NULL


cdef void ring(Wait* wait, WaitState state) noexcept nogil:
    """Take `wait` off its list with the verdict, and wake its thread if it sleeps on a bell."""
    unlist(wait)
    wait.state = state
    if wait.bell != NULL:
        PyThread_release_lock(wait.bell)


cdef PyObject* let_go(Wait* wait) noexcept nogil:
    """The reference that an unlisted wait owned, for the caller to drop after the lock; NULL for none (one that is rung
    keeps it until it is called)."""
    if wait.held and not wait.rung:
        wait.held = False
        return wait.owner
    return NULL


cdef int64_t timeout_ns_of(object timeout) except -2:
    """Nanoseconds of a timeout in seconds; -1 for None, which is for ever.

    TypeError, ValueError or OverflowError naming it."""
    cdef double seconds
    if timeout is None:
        return -1
    if isinstance(timeout, (bool, str, bytes)) or not hasattr(type(timeout), "__float__"):
        raise TypeError(f"timeout must be a number of seconds or None, not {timeout!r}")
    try:
        seconds = float(timeout)
    except OverflowError:       # a whole number that no float can hold
        seconds = float("inf") if timeout > 0 else -1.0
    if not seconds >= 0:
        raise ValueError(f"timeout must be zero or more seconds, or None to wait for ever, not {timeout!r}")
    if seconds > TIMEOUT_MAX:
        raise OverflowError(
            f"timeout must be at most {TIMEOUT_MAX:.0f} seconds (threading.TIMEOUT_MAX), not {timeout!r}"
        )
    return <int64_t>(seconds * 1e9)
