# Waiting at an edge: the shell of blocking put and get, for threads (async_wait.pyx is the one for coroutines).
#
# It decides nothing. The queue says in one section that a call must wait, and lists it there; here the thread parks
# until it is rung or out of time, looks at what has become of its wait, and asks again. It holds no lock meanwhile.
#
# Races thought of: the item is moved in, or the edge closed, just as the time runs out (withdraw takes the wait off its
# list under the queue's lock, and its state afterwards is the answer); an interrupt comes while it parks (the same); a
# getter that was rung leaves more behind, or gives up (leave_get rings the next in line).

from libc.stdint cimport int64_t

from graphflow.core.edges.admission cimport CheckedQueue, is_control
from graphflow.core.edges.contents cimport ANSWER_CLOSED, ANSWER_WAIT, CLOSED
from graphflow.core.edges.forked cimport closed_error, refuse_forked
from graphflow.core.edges.policy cimport POLICY_BLOCK, VERDICT_BLOCKED, VERDICT_OK
from graphflow.core.edges.slot cimport Entry
from graphflow.core.sync.mutants cimport planted
from graphflow.core.sync.parking cimport MOVED, SHUT, WAITING, Waiter, new_waiter
from graphflow.core.sync.thread_state cimport here

from graphflow.base.errors import SchedulerStateError


cdef class WaitingQueue(CheckedQueue):
    """A queue at which threads wait for room and for items."""

    # ======================================================================================== for room

    cdef int put_prepared(self, object held, int64_t timeout) except -1:
        """Put what prepare() returned, waiting up to `timeout` ns; BLOCKED when they have passed."""
        cdef int answer = self.offer(held, is_control(held), None, NULL, False, True)
        if answer == VERDICT_BLOCKED:
            try:
                return self.wait_put(held, is_control(held), timeout)
            except TimeoutError:
                pass
        return answer

    cdef int wait_put(self, object held, bint control, int64_t timeout) except -1:
        """Wait for room; answers as offer does, never BLOCKED. TimeoutError when `timeout` ns have passed."""
        cdef Waiter waiter
        cdef Py_ssize_t size
        cdef int answer
        cdef int64_t until = self.clock.now_ns() + timeout
        if timeout != 0:
            self.refuse_to_wait("put", "emit() from the node, or try_put()")
            size = (<Entry>held).size if self.wraps and not control else 0
            waiter = new_waiter(held, size, control or self.policy_kind == POLICY_BLOCK)
            try:
                while True:
                    answer = self.offer(held, control, None, &waiter.wait, False, True)
                    if answer != ANSWER_WAIT:
                        return answer
                    self.sleep(waiter, timeout, until)
                    if waiter.wait.state == MOVED:
                        return VERDICT_OK
                    if waiter.wait.state == SHUT:
                        return ANSWER_CLOSED
                    if waiter.wait.state == WAITING:    # out of time, unless it is moved in this last moment
                        break
            except BaseException as error:      # of a signal handler, most likely: it may come as the item is let in
                self.withdraw(&waiter.wait, control)
                vars(error)["accepted"] = waiter.wait.state == MOVED
                raise
            finally:
                self.withdraw(&waiter.wait, control)
            if waiter.wait.state == MOVED and not planted("delivered twice"):
                return VERDICT_OK
            if waiter.wait.state == SHUT:
                return ANSWER_CLOSED
        raise TimeoutError(f"{self.id} was full for {timeout / 1e9:g} s; the item was not put")

    # ======================================================================================== for an item

    cdef object wait_get(self, int64_t timeout):
        """Wait for an item. TimeoutError when `timeout` ns have passed, EdgeClosed where none will come."""
        cdef Waiter waiter = new_waiter(None, 0, False)
        cdef int64_t until = self.clock.now_ns() + timeout
        cdef bint rung = False
        if timeout != 0 and not (self.special & CLOSED):
            self.refuse_to_wait("get", "on_message() of a connected node, or try_get()")
        while True:
            item = self.take_any(&waiter.wait)
            if rung and (item is not None or waiter.wait.state == SHUT):
                self.leave_get(&waiter.wait)    # if there is more for others, the next in line is rung
            if item is not None:
                return item
            if waiter.wait.state == SHUT:
                raise closed_error(self, " and empty")
            try:
                self.sleep(waiter, timeout, until)
            except BaseException:
                self.leave_get(&waiter.wait)
                raise
            rung = waiter.wait.state != WAITING
            if not rung:
                self.leave_get(&waiter.wait)
                item = self.take_any(NULL)
                if item is not None:
                    return item
                raise TimeoutError(f"{self.id} was empty for {timeout / 1e9:g} s")

    # ======================================================================================== both

    cdef int sleep(self, Waiter waiter, int64_t timeout, int64_t until) except -1:
        """Park until rung or out of time. Where items may expire, wake when the oldest does and make its room known.
        SchedulerStateError in a child that a signal handler has forked meanwhile."""
        cdef int64_t rest
        cdef int64_t expiry
        while True:
            rest = -1 if timeout < 0 else max(0, until - self.clock.now_ns())
            expiry = self.expiry_wait_ns() if self.ttl_ns > 0 else -1
            if expiry < 0 or (0 <= rest <= expiry):
                waiter.park(rest)
                return refuse_forked(self)
            if waiter.park(expiry):
                return refuse_forked(self)
            self.expire_now()

    cdef int refuse_to_wait(self, str call, str instead) except -1:
        """SchedulerStateError where a wait could never end."""
        if self.owner != 0 and here().scheduler == self.owner:
            raise SchedulerStateError(
                f"{self.id}: {call}() would wait on a thread of the edge's own scheduler, which could then not make "
                f"room; use {instead}"
            )
        if here().asking > 0:
            raise SchedulerStateError(
                f"{self.id}: {call}() would wait inside a merge function, a policy or a key's comparison, which a put "
                f"waits for; use try_{call.removeprefix('a')}()"
            )
        return 0
