# A coroutine that holds a place inside a node: how it enters, parks, is cancelled, and leaves.
#
# The loop's thread is the one worker of a crew (engine/loop_worker.pyx): it enters the node as any worker does, and
# where that starts a coroutine it does not leave: the coroutine (a Flight) holds the place inside the node and leaves
# it when it ends, or when it parks for room. So limits, stops and the watchdog see an awaiting handler as a worker
# inside the node.
#
# All of this runs on one thread, and what interleaves does so at awaits, so nothing here is locked. The thread-local
# record of who may emit is set around every step of a flight, and of nothing else: a task that a handler starts by
# itself may not emit.

import asyncio

from graphflow.core.cells.call cimport Call
from graphflow.core.cells.handling cimport Suspended
from graphflow.core.cells.in_flight cimport StagedCell
from graphflow.core.dispatch.state cimport LANE_LEVEL
from graphflow.core.edges.forked cimport leave_if_stranded
from graphflow.core.sync.lock cimport add, peek
from graphflow.core.sync.thread_state cimport Context, here

CancelledError = asyncio.CancelledError


cdef class Flight:
    """A hook of an async node under way: the coroutine that the loop's task runs. See the declarations."""

    def send(self, value):
        return self.step(self.steps.send, value)

    def throw(self, kind, value=None, trace=None):
        if self.begun:
            return self.step(self.steps.throw, kind if value is None else value)
        self.doomed = kind if value is None else value      # a coroutine that has not begun would not see it
        return self.send(None)

    def close(self):
        self.steps.close()

    def __await__(self):
        raise RuntimeError("a Flight is run by a task of its own")

    cdef object step(self, object call, object argument):
        """Go on until the next await, as the hook that runs here. A child that was forked on the loop's thread ends
        where a hook hands back to the loop, whose pipes are its parent's."""
        cdef Context* context = here()
        cdef void* outer = context.turn
        cdef void* outer_call = context.call
        context.turn = <void*>self.cell
        context.call = NULL if self.sends_at_once() else <void*>self.call
        self.cell.current = self.message
        self.begun = True
        try:
            if self.cell.over:
                leave_if_stranded(None)
            awaited = call(argument)
            if self.cell.over:
                leave_if_stranded(None)
            return awaited
        except StopIteration:
            if self.cell.over:
                leave_if_stranded(None)
            raise
        except BaseException as error:      # no hook's, those are settled: of memory, of the runtime itself
            self.cell.end_graph(self.hook, error, self.message)
            raise StopIteration from None
        finally:
            context.turn = outer
            context.call = outer_call
            self.cell.current = None
            self.cell.show_outbox()

    cdef int cancel(self, bint again) except -1:
        """End it where it awaits, for the run's sake; `again`: also while it clears up after an earlier time."""
        if again or not self.cancelled:
            self.cancelled = True
            self.task.cancel()
        return 0

    cdef bint given_up(self, object error) except -1:
        """Is this the end of the run, and not an error of the node's?"""
        leave_if_stranded(error)
        return self.cell.over or (self.cancelled and isinstance(error, CancelledError))

    cdef int check_doom(self) except -1:
        """First in every flight: raise what was thrown in before it began."""
        if self.doomed is not None:
            raise self.doomed
        return 0

    cdef bint sends_at_once(self) noexcept:
        return self.call is None or not self.call.stages

    cdef int leave(self) except -1:
        """Give up the place inside the node."""
        if self.inside:
            self.inside = False
            self.cell.dispatch.end_turn(self.cell.state, False, 0, 0, NULL)
            self.cell.engine.announce()
        return 0


cdef class FlightCell(StagedCell):
    """A node whose hooks are flights; see the declarations for the fields."""

    cdef Flight launch(self, str hook, Call call, object steps, bint inside):
        """Let a coroutine see a hook through, in a task of its own. `steps(flight)` makes it."""
        cdef Flight flight = Flight()
        if call is None:
            self.begun += 1         # else the attempt has counted
        flight.cell = self
        flight.call = call
        flight.hook = hook
        flight.inside = inside
        if call is not None:
            flight.message = call.seen
            flight.level = call.state.level
        flight.number = self.begun
        flight.steps = steps(flight)
        self.flights.add(flight)
        flight.task = self.loop.create_task(flight, name=f"{self.path}.{hook}")
        return flight

    cdef int progress(self, Flight flight) except -1:
        """The flight is not standing still."""
        self.begun += 1
        flight.number = self.begun
        return 0

    def hooks_inside(self):
        """The flights that hold a place inside the node, with their coroutines."""
        return [
            ((<Flight>flight).number, (<Flight>flight).hook, self.loop_thread, (<Flight>flight).body, False, 0)
            for flight in list(self.flights) if (<Flight>flight).inside
        ]

    # ======================================================================================== parking

    cdef bint must_park(self, Flight flight, Py_ssize_t outbox) noexcept:
        """After a value of a generator, `outbox` before it: wait for room, or for what is more urgent?"""
        if self.control_outbox > 0 or peek(self.state.poke) != 0:
            return True
        return self.outbox > (outbox if flight.level == LANE_LEVEL else 0)

    cdef bint go_on(self) except -1:
        """There is room again: the parked flight is inside the node once more."""
        cdef Suspended parked = self.held_control if self.held_control is not None else self.held
        cdef Flight flight
        if parked is not None:
            flight = <Flight>parked.generator
            self.let_go(parked)
        else:                           # it waits in outgrow()
            flight = <Flight>(<Call>self.dispatch.begin_stream(self.state).call).flight
        self.progress(flight)
        flight.inside = True
        open_gate(flight)
        return True

    # ======================================================================================== the end of a run

    cdef int cancel_flights(self) except -1:
        """The stop has lost its patience: whoever still awaits something is cancelled there."""
        cdef Flight flight
        for flight in list(self.flights):
            flight.cancel(True)
        return 0

    def cancel_others(self, Flight me, bint again):
        """Cancel the flights that have not ended, but for `me`; returns their tasks."""
        cdef Flight flight
        others = [flight for flight in self.flights if flight is not me]
        for flight in others:
            flight.cancel(again)
        return [(<Flight>flight).task for flight in others]

    def lose_flights(self):
        """The loop is closed: nothing that is still under way goes on."""
        cdef Flight flight
        for flight in list(self.flights):
            flight.leave()
        self.flights.clear()
        self.loop = None


cdef int open_gate(Flight flight) except -1:
    if flight.gate is not None and not flight.gate.done():
        flight.gate.set_result(None)
    return 0


async def outgrow(Flight flight):
    """A call has more to send than may be kept: leave the node until it is its turn to leave, then send at once."""
    cdef FlightCell cell = flight.cell
    cdef Call call = flight.call
    call.outgrown = True
    call.flight = flight
    call.from_ns = 0
    flight.gate = cell.loop.create_future()
    cell.pause_stream(call)
    cell.dispatch.outgrow(cell.state, &call.state)
    flight.leave()
    try:
        await flight.gate
    except BaseException:               # cancelled: what it has kept is forgotten by who sees it through
        call.waiting = False
        add(cell.in_handler, call.message is not None)
        raise
    finally:
        call.flight = None
    call.stages = False
    here().call = NULL                  # for the rest of this step; the next ones see `stages`
    cell.resume_stream(call)
    if cell.outbox > 0:
        await park(flight, True)


async def park(Flight flight, bint has_deferred):
    """Leave the node until there is room: it still gets control messages meanwhile."""
    cdef FlightCell cell = flight.cell
    cdef Suspended parked = Suspended()
    parked.generator = flight
    parked.message = flight.message
    parked.level = flight.level
    parked.hook = flight.hook
    parked.has_deferred = has_deferred or (flight.level != LANE_LEVEL and cell.outbox > 0)
    if flight.level == LANE_LEVEL:
        cell.held_control = parked
    else:
        cell.held = parked
    flight.gate = cell.loop.create_future()
    cell.show_outbox()
    cell.show_held()
    flight.leave()
    try:
        await flight.gate
    finally:
        if cell.held is parked or cell.held_control is parked:      # cancelled
            cell.let_go(parked)
