# The call book of a node that runs several messages at once, or tries them again: who may take the next message, in
# what order what they emitted leaves, and who rests before another attempt.
#
# A call is one message (or tick) from its taking until what it emitted has left. What it emits is kept in the Call
# until it has ended, so that it can be discarded for another attempt and leaves in the order of the messages.
#
# Invariants, true whenever `mu` is free (the rest of a node's invariants are in readiness.pyx):
#   C1  One worker at a time is `claiming`: between the choice of an input and open_call() nobody else takes from the
#       node, so that places are given in the order in which the edge gave the messages.
#   C2  `places` holds the calls from `gone` to `given`, at most `window` of them. A call goes (to the leavers) when
#       it has ended and its place is `gone`: in the order of the places. Calls outside the window (control, and all
#       of a node with `ordered = False`) go as they end. While one backs off its node takes no data, so order holds.
#   C3  Control has no window: `control_open` lets one control call be open, in backoff too, so control leaves in order.
#   C4  One worker at a time is `leaving`: it alone touches the node's outlets and outbox. If there are leavers,
#       somebody is leaving: end_call() gives the role to exactly one caller while nobody has it, and whoever finds no
#       leaver more gives it up in the same section.
#   C5  The retry timer is armed for the first of the resting, or HAS_RETRY is pending, or the node has been stopped.
#   C6  Where there is no window (`ordered = False`) calls in backoff let others pass. Of `open` calls `waiting` back
#       off, `spare` of which take no place: open - min(waiting, spare) <= most. A worker inside has one call at most,
#       so this holds too when one is taken up again; none is while there are streams (C8), which no worker is at. So
#       at most `most + spare` back off. A tick waits for a tick in backoff. (Until the stop, which takes up those that
#       rest only to give them up, beside streams too.)
#   C7  No more than `most` ended calls wait for the one who is leaving before their node takes something new, whatever
#       it takes so long for: what they keep is bounded, dead letters included.
#   C8  A call that has more to send than may be kept is `outgrown`: no worker is at it. In the window it is in
#       `streams` if and only if its place is `gone`, outside the window from the start; end_call() looks at the next
#       in the section in which the place before it goes, so its turn cannot be missed. While there are streams
#       HAS_HELD is pending: the node takes nothing new, and when nobody is inside any more the first stream goes on,
#       alone, sending at once. All that is before it has left then: leavers have somebody inside who hands them on, or
#       are in the outbox, which masks.
#
# Races thought of: two calls end at once (the second finds `leaving` set, and its call is on the list that the first
# looks at again before it gives the role up); a call ends while another worker empties the outbox (the flush holds the
# same role and hands on what it finds); the node is stopped while calls rest (abandoned by its stop hook, or after the
# run); a call backs off after the stop has begun (no timer is armed, it is abandoned); two workers are sent to the same
# rested call (the second finds none that is due, and the timer is armed again). The drain's end is in backoff.pyx.

from libc.stdint cimport int64_t

from graphflow.core.dispatch.phases cimport Lifecycle
from graphflow.core.dispatch.state cimport (
    CONTROL_OUTBOX,
    HAS_HELD,
    LANE_LEVEL,
    OUTBOX,
    PAUSED,
    CallBook,
    CallState,
    InletState,
    NodeState,
)
from graphflow.core.sync.lock cimport acquire, poke
from graphflow.core.sync.mutants cimport planted


cdef class Calls(Lifecycle):
    """The call books of a run's nodes; each method is one critical section."""

    cdef void open_call(self, NodeState* node, CallState* call, InletState* inlet, bint control) noexcept:
        """The worker that claims has taken a message, for this call. `inlet`: where it came from, unless that was then
        seen empty or it is a tick."""
        cdef CallBook* book = &node.book
        acquire(self.mu)
        call.place = -1
        if control:
            book.control_open = True
        elif book.window > 0:
            call.place = book.given
            book.places[call.place % book.window] = call
            book.given += 1
        else:
            book.open += 1
        book.claiming = False
        if inlet != NULL:
            self.list_inlet(inlet, control)
        self.refresh(node)
        self.unlock()

    cdef void claim_done(self, NodeState* node) noexcept:
        """The worker that claims has taken nothing, or has driven a generator."""
        acquire(self.mu)
        node.book.claiming = False
        self.refresh(node)
        self.unlock()

    cdef bint end_call(self, NodeState* node, CallState* call, bint control) noexcept:
        """A call has been handled or given up. True: the caller hands on what calls emitted (next_leaver)."""
        cdef CallBook* book = &node.book
        cdef CallState* first
        cdef bint mine
        acquire(self.mu)
        call.ended = True
        if call.streaming:
            self.end_stream(node, call)
        if control:
            book.control_open = False
        elif call.place < 0:
            book.open -= 1
        if call.place < 0:
            self.add_leaver(node, call)
        while book.gone < book.given:
            first = book.places[book.gone % book.window]
            if not first.ended:
                break
            self.add_leaver(node, first)
            book.gone += 1
        if book.window > 0 and book.gone < book.given:
            first = book.places[book.gone % book.window]
            if first.outgrown and not first.streaming and not planted("stream never begun"):
                self.add_stream(node, first)
        mine = not book.leaving and book.leavers != NULL
        if mine:
            book.leaving = True
        self.refresh(node)
        self.unlock()
        return mine

    cdef CallState* next_leaver(self, NodeState* node) noexcept:
        """The next call to hand on; NULL gives the role up."""
        cdef CallBook* book = &node.book
        cdef CallState* call
        acquire(self.mu)
        call = book.leavers
        if call != NULL:
            book.leavers = call.next
            book.leaver_count -= 1
        else:
            book.leaving = False
        if call == NULL or book.leaver_count == book.most - 1:      # the node takes something new again (C7)
            self.refresh(node)
        self.unlock()
        return call

    cdef void add_leaver(self, NodeState* node, CallState* call) noexcept nogil:
        """Under the lock: behind those that leave already."""
        call.next = NULL
        if node.book.leavers == NULL:
            node.book.leavers = call
        else:
            node.book.last_leaver.next = call
        node.book.last_leaver = call
        node.book.leaver_count += 1

    # ======================================================================================== backoff

    cdef bint rest(self, NodeState* node, CallState* call, int64_t due_ns) noexcept:
        """A call failed and is to be tried again at `due_ns`; False if the drain will be over by then."""
        cdef bint lasts
        acquire(self.mu)
        lasts = not self.too_late(due_ns)
        if lasts:
            call.due_ns = due_ns
            self.lay_down(&node.book, call)
            self.show_rest(node)
            self.refresh(node)
        else:
            self.timed_out = True
        self.unlock()
        return lasts

    cdef CallState* take_rested(self, NodeState* node, bint any_time) noexcept:
        """The first call whose rest is over (or any, to abandon it); NULL if there is none."""
        cdef CallState* call
        acquire(self.mu)
        call = node.book.resting
        if call != NULL and (any_time or call.due_ns <= self.clock.now_ns()):
            self.rouse(&node.book)
        else:
            call = NULL
        self.show_rest(node)
        self.refresh(node)
        self.unlock()
        return call

    # ======================================================================================== more than may be kept

    cdef void outgrow(self, NodeState* node, CallState* call) noexcept:
        """A call has more to send than may be kept: it goes on when it is its turn to leave (C8)."""
        acquire(self.mu)
        call.outgrown = True
        if call.place < 0 or call.place == node.book.gone or planted("stream before its turn"):
            self.add_stream(node, call)
        self.refresh(node)
        self.unlock()

    cdef CallState* first_stream(self, NodeState* node) noexcept:
        """The outgrown call that goes on; NULL if there is none."""
        cdef CallState* first
        acquire(self.mu)
        first = node.book.streams
        self.unlock()
        return first

    cdef CallState* begin_stream(self, NodeState* node) noexcept:
        """The first stream of a node of the event loop, which is in the hands of its own coroutine from now on."""
        cdef CallState* first
        acquire(self.mu)
        first = node.book.streams
        self.end_stream(node, first)
        self.unlock()
        return first

    cdef void add_stream(self, NodeState* node, CallState* call) noexcept nogil:
        """Under the lock: it is the call's turn to leave, behind others whose turn it is."""
        cdef CallState** link = &node.book.streams
        while link[0] != NULL:
            link = &link[0].next_stream
        link[0] = call
        call.next_stream = NULL
        call.streaming = True
        self.show_streams(node)

    cdef void end_stream(self, NodeState* node, CallState* call) noexcept nogil:
        """Under the lock: an outgrown call has ended, or is given up."""
        cdef CallState** link = &node.book.streams
        while link[0] != NULL and link[0] != call:
            link = &link[0].next_stream
        if link[0] != NULL:
            link[0] = call.next_stream
        call.streaming = False
        self.show_streams(node)

    cdef void show_streams(self, NodeState* node) noexcept nogil:
        """Under the lock: the first of them is the node's suspended generator."""
        cdef CallState* first = node.book.streams
        node.control_held = first != NULL and first.level == LANE_LEVEL
        if first == NULL:
            poke(node.pending, node.pending & ~HAS_HELD)
            return
        poke(node.pending, node.pending | HAS_HELD)
        node.held_level = first.level
        node.held_masks = OUTBOX | CONTROL_OUTBOX | (0 if node.control_held else PAUSED)
