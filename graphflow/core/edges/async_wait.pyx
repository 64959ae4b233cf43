# A put and a get of a coroutine: the steps between which it is suspended. They mirror Edge.wait_put and wait_get, whose
# thread sleeps where the coroutine gives its own back to the loop; graphflow.runtime.async_handles has the coroutines.
#
# step() answers, or lists the wait and says None: suspend until the next ring, or for delay() seconds, and step again.
# A wake that nobody rang for (a timer, a ring for an earlier listing) finds the wait still listed and changes nothing.
# withdraw() ends it whatever the state; for a put it says, for good, whether the item is in.
#
# Races thought of: the item is moved in while the coroutine is being cancelled (withdraw decides under the lock); the
# loop was closed, or is being closed, when its coroutine is rung (the wait is withdrawn, so what it was rung for goes
# to the next, and a coroutine that is finalized later withdraws again, which changes nothing); a signal handler raises
# on the thread that calls the loop (the call is made again, and the exception raised once that thread is back in
# Python, as the waker may be inside anything).

from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int64_t

from graphflow.core.edges.admission cimport is_control
from graphflow.core.edges.contents cimport ANSWER_CLOSED, ANSWER_WAIT, CLOSED
from graphflow.core.edges.edge cimport Edge
from graphflow.core.edges.forked cimport closed_error, refuse_forked
from graphflow.core.edges.policy cimport POLICY_BLOCK, VERDICT_BLOCKED, VERDICT_OK, put_result
from graphflow.core.edges.slot cimport Entry
from graphflow.core.sync.lock cimport acquire
from graphflow.core.sync.parking cimport CENTURY_NS, MOVED, SHUT, set_item, timeout_ns_of

import threading


cdef extern from "Python.h":
    int Py_AddPendingCall(int (*function)(void*) except -1, void* argument)

cdef enum:
    CALLS_AT_MOST = 8       # of one loop that do not come through, before its coroutine is left to itself


cdef class Awaited(Waiter):
    """One call that waits in an event loop."""

    def __cinit__(self, Edge edge not None, loop, timeout, *others):
        self.limit_ns = timeout_ns_of(timeout)
        self.until_ns = edge.clock.now_ns() + min(self.limit_ns, CENTURY_NS)
        self.edge = edge
        self.loop = loop
        self.wait.owner = <PyObject*>self

    # ---------------------------------------------------------------------------------------- being woken

    cdef bint call(self) noexcept:
        """Have the loop wake the coroutine; False if the loop is closed."""
        cdef int _tries
        cdef bint there = True
        cdef object failure = None
        for _tries in range(CALLS_AT_MOST):
            try:
                there = self.ask_loop()
                break
            except BaseException as error:
                failure = error
        if failure is not None:     # only now: it would be raised in the call that is made again
            raise_later(failure)
        return there

    cdef int ask_loop(self) except -1:
        try:
            self.loop.call_soon_threadsafe(self.wake)
        except RuntimeError:
            if self.loop.is_closed():
                return False
            raise
        return True

    def wake(self):
        """On the loop's thread: let the coroutine go on, if it is suspended."""
        future = self.future
        if future is not None and not future.done():
            future.set_result(None)

    # ---------------------------------------------------------------------------------------- how it stands

    cdef bint listed(self) noexcept:
        """Does it stand in a list of the edge?"""
        cdef bint there
        acquire(self.edge.mu)
        there = self.wait.home != NULL
        self.edge.unlock()
        return there

    cdef bint late(self) noexcept:
        return self.limit_ns >= 0 and self.edge.clock.now_ns() >= self.until_ns

    def delay(self):
        """Seconds after which to step again even if nobody rings: the time is up, or an item expires, which makes
        room. None for never."""
        cdef int64_t rest = -1
        cdef int64_t expiry = self.edge.expiry_wait_ns() if self.edge.ttl_ns > 0 else -1
        if self.limit_ns >= 0:
            rest = max(0, self.until_ns - self.edge.clock.now_ns())
        if rest < 0 or 0 <= expiry < rest:
            rest = expiry
        return None if rest < 0 else rest / 1e9


cdef class AwaitedPut(Awaited):
    """A put of a coroutine. Raises at once what Edge.put raises for a wrong timeout or item."""

    def __cinit__(self, Edge edge not None, loop, timeout, item):
        self.held = edge.prepare(item)
        self.control = is_control(item)

    def step(self):
        """A PutResult, or None: suspend. Raises what Edge.put raises."""
        cdef int answer = self.look()
        if answer == ANSWER_WAIT:
            if not self.late():
                return None
            if not self.withdraw() and self.wait.state != SHUT:     # else it was moved in at this last moment
                self.out_of_time()
            answer = ANSWER_CLOSED if self.wait.state == SHUT else VERDICT_OK
        self.done = True
        if answer == ANSWER_CLOSED:
            raise closed_error(self.edge, ": it takes no more items")
        return put_result(answer)

    cdef int look(self) except -1:
        """Offer the item, unless it is known what became of it. Answers as Edge.offer, never BLOCKED."""
        cdef Edge edge = self.edge
        cdef int answer
        cdef Py_ssize_t size
        if not self.begun:
            self.begun = True
            answer = edge.offer(self.held, self.control, None, NULL, False, True)
            if answer != VERDICT_BLOCKED:
                return answer
            if self.limit_ns == 0:
                self.out_of_time()
            edge.refuse_to_wait("aput", "emit() from the node, or try_put()")
            size = (<Entry>self.held).size if edge.wraps and not self.control else 0
            set_item(self, self.held, size, self.control or edge.policy_kind == POLICY_BLOCK)
        else:
            edge.expire_now()
            if self.listed():
                return ANSWER_WAIT
            if self.wait.state == MOVED:
                return VERDICT_OK
            if self.wait.state == SHUT:
                return ANSWER_CLOSED
        return edge.offer(self.held, self.control, None, &self.wait, False, True)

    cdef int out_of_time(self) except -1:
        raise TimeoutError(f"{self.edge.id} was full for {self.limit_ns / 1e9:g} s; the item was not put")

    def withdraw(self):
        """Stop waiting. True: the item is in; False: it is out, and stays so."""
        if not self.done:
            self.done = True
            self.edge.withdraw(&self.wait, self.control)
        return self.wait.state == MOVED

    cdef void give_up(self) noexcept:
        self.edge.withdraw(&self.wait, self.control)


cdef class AwaitedGet(Awaited):
    """A get of a coroutine. Raises at once what Edge.get raises for a wrong timeout."""

    def step(self):
        """The item, which is taken here and nowhere else, or None: suspend. Raises what Edge.get raises."""
        cdef object item = self.look()
        if item is None and self.late():
            self.withdraw()
            item = self.edge.take_any(NULL)
            if item is None:
                raise TimeoutError(f"{self.edge.id} was empty for {self.limit_ns / 1e9:g} s")
        self.done = item is not None
        return item

    cdef object look(self):
        """The item if there is one, else the wait is listed."""
        cdef Edge edge = self.edge
        cdef object item
        refuse_forked(edge)
        if not self.begun:
            self.begun = True
            item = edge.take_any(NULL)
            if item is not None:
                return item
            if self.limit_ns != 0 and not edge.special & CLOSED:
                edge.refuse_to_wait("aget", "on_message() of a connected node, or try_get()")
        else:
            edge.expire_now()
            if self.listed():
                return None
        item = edge.take_any(&self.wait)
        if item is not None or self.wait.state == SHUT:
            edge.leave_get(&self.wait)      # if there is more for others, the next in line is rung
        if item is None and self.wait.state == SHUT:
            raise closed_error(edge, " and empty")
        return item

    def withdraw(self):
        """Stop waiting; a ring that came meanwhile goes to the next getter."""
        if not self.done:
            self.done = True
            self.edge.leave_get(&self.wait)

    cdef void give_up(self) noexcept:
        self.edge.leave_get(&self.wait)


cdef int raise_later(object error) except -1:
    """Raise `error` once the main thread is back in Python: it came from a signal handler there. What comes up on
    another thread is nobody's, and is reported."""
    if threading.get_ident() == threading.main_thread().ident:
        Py_INCREF(error)
        if Py_AddPendingCall(raise_pending, <void*>error) == 0:
            return 0
        Py_DECREF(error)
    report(error)
    return 0


cdef int raise_pending(void* argument) except -1:
    cdef object error = <object>argument
    Py_DECREF(error)
    raise error


cdef void report(object error) noexcept:
    """Hand `error` to sys.unraisablehook, as happens to what leaves a function that cannot raise."""
    raise error
