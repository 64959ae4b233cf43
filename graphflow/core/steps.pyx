# A node whose step is compiled: it handles messages in batches, without a Python frame of the runtime's.
#
# The loop claims a batch (batches.pyx: one critical section in, one out), calls the operator for each message and looks
# up after each, as every handler does: what was deferred, or is more urgent, ends the batch there, and the rest is
# queued as it was. A batch also ends after LONGEST_NS, so that a slow function does not keep its producer from the
# slots of what it has handled.
#
# What an operator sends goes out at once, in a critical section of its own. (Kept until the end of the batch it would
# cost a few nanoseconds less, and a function that blocks would hold back what was made before it, or take it along when
# it never returns.)
#
# `current` owns the message that is being handled; where that is the only reference a map may reuse the message.
#
# Whatever has no fast way goes through on_message, which every step node has as well: traced messages, control, edges
# that wrap what they hold.

import sys

from cpython.object cimport PyObject
from libc.stdint cimport int64_t

from graphflow.core.batches cimport hand_over
from graphflow.core.cell cimport Cell
from graphflow.core.context cimport Context, here
from graphflow.core.edge cimport Edge
from graphflow.core.handler cimport Handler, Inlet
from graphflow.core.histogram cimport redraw
from graphflow.core.lock cimport peek
from graphflow.core.message cimport KIND_DATA, Message, make_message
from graphflow.core.operators cimport HANDLED, Operator
from graphflow.core.ring cimport list_items
from graphflow.core.sender cimport Outlet, swap_current

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


cdef class StepCell(Cell):
    """A node in a run whose step is compiled; see the declarations."""

    cdef int set_up(self, Operator operator) except -1:
        """When the run is wired."""
        cdef Outlet outlet
        self.operator = operator
        self.room = [None] * ROOM
        self.switch_ns = <int64_t>(sys.getswitchinterval() * 1e9)
        self.leaving = self.only_outlets if self.only_outlets is not None else ()
        if len(self.leaving) == 1:
            outlet = self.leaving[0]
            self.plain = outlet.edge.spec is None and not outlet.edge.wraps
        return 0

    cdef int take_data(self, Inlet inlet, int quantum) except -1:
        """Handle up to `quantum` data messages of one input; returns how many."""
        cdef Edge edge = inlet.edge
        cdef int done = 0
        cdef int claimed, handled
        cdef bint dry
        if edge.wraps or self.spans is not None:
            return Handler.take_data(self, inlet, quantum)
        self.inlet_port = inlet.port
        self.inlet_level = inlet.state.band
        while done < quantum:
            claimed = edge.claim_batch(self.room, min(quantum - done, ROOM))
            if claimed == 0:        # empty, or all in the hands of a merge
                return done + Handler.take_data(self, inlet, quantum - done)
            handled = 0
            try:
                handled = self.run_batch(inlet, claimed)
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

    cdef int run_batch(self, Inlet inlet, int claimed) except -1:
        """Handle the claimed messages until something ends the batch; returns how many were handled."""
        cdef PyObject** cells = list_items(self.room)
        cdef int until = self.handling.sampler.countdown if self.handling != NULL else 0
        cdef int done = 0
        cdef int look = 1
        cdef int64_t began_ns = self.dispatch.clock.now_ns()
        cdef int64_t spent_ns
        while done < claimed and hand_over(inlet.edge.handed):
            if type(<object>cells[done]) is Message:
                swap_current(self, cells[done])
            else:
                self.current = make_message(KIND_DATA, <object>cells[done])
            done += 1
            if done == until:
                until = done + self.apply_timed()
            else:
                self.apply()
            self.current = None
            if self.interrupted(self.inlet_level):
                break
            if done == look and look < claimed:
                spent_ns = self.dispatch.clock.now_ns() - began_ns
                if spent_ns >= LONGEST_NS:
                    break
                look += <int>max(1, min(FIRST_LOOK * done, (LONGEST_NS - spent_ns) * done // max(spent_ns, 1)))
        if until > 0:
            self.handling.sampler.countdown = until - done
        self.breathe(began_ns)
        return done

    cdef int apply(self) except -1:
        """Handle `current`."""
        cdef PyObject* message = <PyObject*>self.current
        self.begun += 1
        self.in_handler += 1
        try:
            if (<Message>message).kind != KIND_DATA:
                self.send_on(self.leaving, <Message>message)
                self.handled += 1
            elif self.operator.apply(self, self.leaving, <Message>message, self.plain and sole(message)) == HANDLED:
                self.handled += 1
        except BaseException as error:
            self.fail("on_message", error, self.current, self.inlet_port, True)
        finally:
            self.in_handler -= 1
        return 0

    cdef int apply_timed(self) except -1:
        """The same, timed; messages until the next one that is timed."""
        cdef int64_t from_ns = self.dispatch.clock.now_ns()
        self.apply()
        redraw(&self.handling.sampler)
        self.timed_until_now(from_ns)
        return self.handling.sampler.countdown

    cdef int breathe(self, int64_t now) noexcept:
        """Let other threads have the GIL once a switch interval: a function in C never asks whether one wants it."""
        cdef Context* context = here()
        if now - context.gave_way_ns > self.switch_ns:
            context.gave_way_ns = now
            with nogil:
                pass
        return 0

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
