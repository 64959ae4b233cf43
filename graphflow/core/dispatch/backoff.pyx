# Calls in backoff: who rests, which is due first, and what a drain makes of those that it leaves no time for.
#
# The resting calls of a node are a skew heap by the time of their next attempt, over links that lie in the calls: a
# node may let thousands rest, laying one down allocates nothing, and what it costs grows with their logarithm. (A bad
# single step is paid for by those before it.) Where several are due at the same nanosecond, which of them is first is
# nobody's promise: what has an order, control and the window, is kept in in_flight.pyx.
#
# A drain with a deadline gives up those whose next attempt would come after it, when it begins: what their error policy
# does then, such as a dead letter, still has the time of the drain to be handled. A deadline only ever comes nearer, so
# nobody is given up too early. Those calls are due at once, marked `cut`; a worker takes them as it takes any that is
# due. Whoever fails during the drain is asked the same question before it lies down (rest), in the section that would
# lay it down, so none slips in between the two. What no worker came to in time, as its node waited for room or was
# busy, is cut when the time is up, and given up so by the node's stop hook.

from libc.stdint cimport int64_t

from graphflow.core.dispatch.readiness cimport Readiness
from graphflow.core.dispatch.state cimport DRAINING, HAS_RETRY, LANE_LEVEL, STOPPED, CallBook, CallState, NodeState
from graphflow.core.sync.lock cimport poke


cdef class Rests(Readiness):
    """The calls of each node that back off; everything here is under the lock."""

    cdef void lay_down(self, CallBook* book, CallState* call) noexcept nogil:
        """Under the lock: the call rests until its `due_ns`."""
        call.left = call.right = NULL
        book.resting = joined(book.resting, call)
        if call.level != LANE_LEVEL:
            book.waiting += 1
            book.ticks_waiting += call.tick

    cdef CallState* rouse(self, CallBook* book) noexcept nogil:
        """Under the lock: the call that is due first rests no more. There is one."""
        cdef CallState* call = book.resting
        book.resting = joined(call.left, call.right)
        call.left = call.right = NULL
        if call.level != LANE_LEVEL:
            book.waiting -= 1
            book.ticks_waiting -= call.tick
        return call

    cdef void show_rest(self, NodeState* node) noexcept nogil:
        """Under the lock: arm the timer for the first that rests, unless one is known to be due (C5)."""
        if node.book.resting == NULL or node.masks & STOPPED or self.phase > DRAINING:
            poke(node.pending, node.pending & ~HAS_RETRY)
            self.timers.disarm(&node.retry)
        elif not node.pending & HAS_RETRY:
            self.timers.arm(&node.retry, node.book.resting.due_ns)
            self.wake_keeper(node.book.resting.due_ns)

    cdef bint too_late(self, int64_t due_ns) noexcept nogil:
        """Under the lock: will the drain be over at that time?"""
        return self.phase == DRAINING and due_ns >= self.drain_deadline_ns

    cdef void cut_short(self, NodeState* node) noexcept nogil:
        """Under the lock, while it drains: the calls whose rest would outlast the drain are due now."""
        cdef CallState* below = node.book.resting
        cdef CallState* call
        if below == NULL:
            return
        node.book.resting = below.next = NULL
        node.book.waiting = node.book.ticks_waiting = 0
        while below != NULL:        # a stack of heaps, linked by `next`
            call = below
            below = call.next
            if call.left != NULL:
                call.left.next = below
                below = call.left
            if call.right != NULL:
                call.right.next = below
                below = call.right
            call.next = NULL
            if self.too_late(call.due_ns):
                call.cut = self.timed_out = True
                call.due_ns = 0
            self.lay_down(&node.book, call)
        self.show_rest(node)
        self.refresh(node)


cdef CallState* joined(CallState* one, CallState* other) noexcept nogil:
    """Two heaps as one."""
    cdef CallState* root = NULL
    cdef CallState** link = &root
    cdef CallState* below
    while one != NULL and other != NULL:
        if other.due_ns < one.due_ns:
            one, other = other, one
        link[0] = one
        below = one.right
        one.right = one.left
        link = &one.left
        one = below
    link[0] = one if one != NULL else other
    return root
