# A node whose step is compiled: it handles messages in batches, without a Python frame of the runtime's.
#
# The loop claims a batch (edges/batches.pyx: one critical section in, one out), calls the operator for each message and
# looks up after each, as every handler does: what was deferred, or is more urgent, ends the batch there, and the rest
# is queued as it was. A batch also ends after LONGEST_NS, so that a slow function does not keep its producer from the
# slots of what it has handled.
#
# What an operator sends goes out at once, in a critical section of its own. (Kept until the end of the batch and sent
# in one section it took more instructions, 972 a hop instead of 914, and it needs a way around functions that block,
# which else hold back what was made before.)
#
# `current` owns the message that is being handled; where that is the only reference a map may reuse the message.
#
# Whatever has no fast way goes through on_message, which every step node has as well: traced messages, control, edges
# that wrap what they hold.

cimport cython
from cpython.object cimport PyObject
from libc.stdint cimport int64_t

from graphflow.core.cells.cell cimport Cell
from graphflow.core.cells.handling cimport Handler, Inlet
from graphflow.core.cells.operators.kinds cimport HANDLED, Operator
from graphflow.core.cells.outbox cimport swap_current
from graphflow.core.edges.batches cimport hand_over
from graphflow.core.edges.edge cimport Edge
from graphflow.core.edges.ring cimport list_items
from graphflow.core.messages.message cimport KIND_DATA, KIND_ERROR, Message, make_message
from graphflow.core.sync.thread_state cimport breathe, here

cdef extern from *:
    """
    #ifdef Py_GIL_DISABLED
    #define GF_SOLE(message) false      /* another thread may be about to take a reference */
    #else
    #define GF_SOLE(message) (Py_REFCNT(message) == 1)
    #endif
    """
    bint sole "GF_SOLE" (PyObject* message) noexcept

cdef enum:
    ROOM = 64               # messages claimed at once, at most
    LONGEST_NS = 1_000_000  # a batch
    FIRST_LOOK = 8          # messages to the next look at the clock, where the first took next to no time


@cython.final
cdef class StepCell(Cell):
    """A node in a run whose step is compiled; see the declarations."""

    cdef int set_up(self, Operator step) except -1:
        """When the run is wired."""
        self.step = step
        self.room = [None] * ROOM
        return 0

    cdef int take_data(self, Inlet inlet, int quantum) except -1:
        """Handle up to `quantum` data messages of one input; returns how many."""
        cdef Edge edge = inlet.edge
        cdef int done = 0
        cdef int claimed, handled
        cdef bint dry
        if edge.wraps or self.spans is not None or inlet.carries:
            return Handler.take_data(self, inlet, quantum)
        self.inlet_port = inlet.port
        self.inlet_level = inlet.state.band
        while done < quantum:
            claimed = edge.claim_batch(self.room, min(quantum - done, ROOM))
            if claimed == 0:        # empty, too small for batches, or all in the hands of a merge
                return done + Handler.take_data(self, inlet, quantum - done)
            handled = 0
            try:
                self.run_batch(inlet, claimed, &handled)
            finally:                # the batch is void where the run has ended, or the node was stopped
                dry = edge.release_batch(self.room, claimed, handled)
                self.clear_room()
            done += handled
            if dry:
                return done         # the edge tells of the next item
            if handled < claimed or self.interrupted(self.inlet_level):
                break
        self.dispatch.inlet_left(&inlet.state, False)
        return done

    cdef int run_batch(self, Inlet inlet, int claimed, int* done) except -1:
        """Handle the claimed messages until something ends the batch; `done` counts those that were begun."""
        self.began_ns = self.dispatch.clock.now_ns()
        self.look = 1
        while done[0] < claimed:
            try:
                self.run_messages(inlet, claimed, done)
                break
            except BaseException as error:      # of one message: the node's error policy decides, and the rest goes on
                self.in_handler -= 1
                self.fail("on_message", error, self.current, self.inlet_port, True)
                self.current = None
                if self.batch_ends(done[0]):
                    break
        breathe(here(), self.began_ns)
        return 0

    cdef int run_messages(self, Inlet inlet, int claimed, int* done) except -1:
        """Handle messages until one raises, or something ends the batch."""
        cdef PyObject** cells = list_items(self.room)
        cdef Operator step = self.step
        cdef int64_t* handed = &inlet.edge.handed
        cdef int64_t from_ns
        cdef bint in_place
        while done[0] < claimed and hand_over(handed[0]):
            if type(<object>cells[done[0]]) is Message:
                swap_current(self, cells[done[0]])
            else:
                self.current = make_message(KIND_DATA, <object>cells[done[0]])
            done[0] += 1
            self.begun += 1
            self.in_handler += 1
            from_ns = self.timed_from()
            if self.current.kind != KIND_DATA:
                self.pass_by(inlet.port)
                self.handled += 1
            else:
                in_place = self.plain is not None and sole(<PyObject*>self.current)     # now: a call takes references
                if step.apply(self, self.current, in_place) == HANDLED:
                    self.handled += 1
            self.in_handler -= 1
            if from_ns != 0:
                self.timed_until_now(from_ns)
            self.current = None
            if self.batch_ends(done[0]):
                break
        return 0

    cdef int pass_by(self, str port) except -1:
        """What is no DATA passes unchanged; at a node that sends nothing it ends."""
        if len(self.only_outlets) > 0:
            self.pass_on(self.current)
        elif self.current.kind == KIND_ERROR:
            self.say_unseen(self.current, port)
        return 0

    cdef inline bint batch_ends(self, int done) noexcept:
        """At a message boundary: must the worker look up, or has the batch taken long enough?"""
        cdef int64_t spent_ns
        if self.interrupted(self.inlet_level):
            return True
        if done < self.look:
            return False
        spent_ns = self.dispatch.clock.now_ns() - self.began_ns
        self.look = done + <int>max(1, min(FIRST_LOOK * done, (LONGEST_NS - spent_ns) * done // max(spent_ns, 1)))
        return spent_ns >= LONGEST_NS

    cdef int clear_room(self) except -1:
        """Let go of raw items that were handled, and of what was lost with a batch that was voided."""
        cdef PyObject** cells = list_items(self.room)
        cdef Py_ssize_t place
        for place in range(ROOM):
            if cells[place] != <PyObject*>None:
                self.room[place] = None
        return 0

    def release(self):
        Cell.release(self)
        self.clear_room()
