# A node with an async hook in a run: every hook of it is a coroutine on the event loop of the scheduler.
#
# The loop's thread is the one worker of a crew (loop.pyx): it enters the node as any worker does, and where that starts
# a coroutine it does not leave: the coroutine (a Flight) holds the place inside the node and leaves it when it ends, or
# when it parks for room. So limits, stops and the watchdog see an awaiting handler as a worker inside the node. Only
# produce() holds no place while it awaits its next value: messages and ticks of the node go on meanwhile.
#
# All of this runs on one thread, and what interleaves does so at awaits, so nothing here is locked. The thread-local
# record of who may emit is set around every step of a flight, and of nothing else: a task that a handler starts by
# itself may not emit.

import asyncio
import inspect

from graphflow.core.call cimport Call
from graphflow.core.context cimport Context, here
from graphflow.core.handler cimport Suspended
from graphflow.core.lock cimport add, peek
from graphflow.core.staged cimport StagedCell
from graphflow.core.state cimport (
    DRAIN_HOOK,
    DRAINING,
    LANE_LEVEL,
    START_HOOK,
    STOP_HOOK,
    Hook,
)

from graphflow.values import Values

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
        """Go on until the next await, as the hook that runs here."""
        cdef Context* context = here()
        cdef void* outer = context.turn
        cdef void* outer_call = context.call
        context.turn = <void*>self.cell
        context.call = NULL if self.sends_at_once() else <void*>self.call
        self.cell.current = self.message
        self.begun = True
        try:
            return call(argument)
        except StopIteration:
            raise
        except BaseException as error:      # no hook's, those are settled: of memory, of the runtime itself
            self.cell.engine.fatal(self.cell.path, error)
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


cdef class AsyncCell(StagedCell):
    """A node whose hooks run on the event loop; see the declarations for the fields."""

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

    # ======================================================================================== what a turn starts

    cdef bint begin(self, Call call) except -1:
        self.attempt_begins(call)
        self.launch(call.hook, call, handle, True)      # its task copies the context, in which the span is current
        if call.span is not None:
            call.span.suspend()
        return True

    cdef bint live(self) except -1:
        cdef Hook which = self.state.hook
        if which == START_HOOK:
            self.launch("on_start", None, start, True)
        elif which == DRAIN_HOOK:
            self.launch("on_drain", None, drain, True)
        else:
            self.launch("on_stop", None, stop, True)
        return True

    cdef bint go_on(self) except -1:
        """There is room again: the parked flight is inside the node once more."""
        cdef Suspended parked = self.held_control if self.held_control is not None else self.held
        cdef Flight flight = <Flight>parked.generator
        self.let_go(parked)
        self.progress(flight)
        flight.inside = True
        open_gate(flight)
        return True

    cdef int progress(self, Flight flight) except -1:
        """The flight is not standing still."""
        self.begun += 1
        flight.number = self.begun
        return 0

    cdef int produce(self) except -1:
        """Let the source send its next values, or end it."""
        if peek(self.dispatch.phase) == DRAINING or self.all_closed():
            return self.close_source()
        self.allowance = self.dispatch.batch
        self.dispatch.set_producing(self.state, True)
        open_gate(self.feeder)
        return 0

    # ======================================================================================== parking

    cdef bint must_park(self, Flight flight, Py_ssize_t outbox) noexcept:
        """After a value of a generator, `outbox` before it: wait for room, or for what is more urgent?"""
        if self.control_outbox > 0 or peek(self.state.poke) != 0:
            return True
        return self.outbox > (outbox if flight.level == LANE_LEVEL else 0)

    # ======================================================================================== ending

    cdef int open_source(self) except -1:
        self.feeder = self.launch("produce", None, feed, False)
        return 0

    cdef int close_source(self) except -1:
        """End the generator of produce() where it stands."""
        if self.feeder is not None and not self.closing:
            self.closing = True
            self.dispatch.set_producing(self.state, True)
            self.feeder.cancel(False)
        return 0

    cdef int end_source(self) except -1:
        return self.close_source()

    cdef int stop_here(self) except -1:
        self.dispatch.stop_node(self.state)
        return self.close_inputs()

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

    def release(self):
        """After the run: let go of everything that refers back to it."""
        StagedCell.release(self)
        self.feeder = None

    def refuse(self, produced):
        """What produce() returned; TypeError for a coroutine, which has no values."""
        if inspect.iscoroutine(produced):
            produced.close()
            raise TypeError(f"produce() of node {self.path!r} is a coroutine; it must yield, or return an iterator")
        return produced

    def hooks_inside(self):
        """The flights that hold a place inside the node, with their coroutines."""
        return [
            ((<Flight>flight).number, (<Flight>flight).hook, self.loop_thread, (<Flight>flight).body)
            for flight in list(self.flights) if (<Flight>flight).inside
        ]

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


# ============================================================================================ seeing hooks through


async def handle(Flight flight):
    """on_message or on_tick, once."""
    cdef AsyncCell cell = flight.cell
    cdef Call call = flight.call
    try:
        flight.check_doom()
        if call.message is not None:
            result = cell.on_message(call.port, call.seen)
        else:
            result = cell.hooks.on_tick()
        await take(flight, result)
    except BaseException as error:
        if flight.given_up(error):
            cell.attempt_ends(call, error)
            add(cell.abandoned, call.message is not None)
            cell.forget(call, 0)
            cell.end_call(call)
        elif cell.attempt_ends_in(call, error):
            await tell(flight, error)
            cell.try_or_give_up(call, error)
    else:
        cell.attempt_succeeded(call)
    finally:
        land(flight)


async def start(Flight flight):
    """on_start; then the source is opened."""
    cdef AsyncCell cell = flight.cell
    cdef bint failed = False
    try:
        flight.check_doom()
        if cell.has_start:
            await take(flight, cell.hooks.on_start())
    except BaseException as error:
        failed = True
        cell.dispatch.source_ended(cell.state)
        await settle(flight, error, False)
    try:
        cell.dispatch.hook_done(cell.state, START_HOOK, failed)
        if failed:
            cell.close_inputs()
        elif cell.is_source:
            cell.open_source()
    finally:
        land(flight)


async def drain(Flight flight):
    """on_drain; what it emits is delivered."""
    cdef AsyncCell cell = flight.cell
    try:
        flight.check_doom()
        await take(flight, cell.hooks.on_drain())
    except BaseException as error:
        await settle(flight, error, False)
    try:
        cell.dispatch.hook_done(cell.state, DRAIN_HOOK, False)
    finally:
        land(flight)


async def stop(Flight flight):
    """End what is parked and the source, then on_stop; nothing may be emitted any more."""
    cdef AsyncCell cell = flight.cell
    try:
        flight.check_doom()
        cell.may_emit = False
        cell.abandon_calls()
        cell.close_source()
        others = cell.cancel_others(flight, False)
        if others:
            await asyncio.wait(others)
        if cell.has_stop:
            await take(flight, cell.hooks.on_stop())
    except BaseException as error:
        await settle(flight, error, False)
    try:
        cell.dispatch.hook_done(cell.state, STOP_HOOK, False)
    finally:
        land(flight)


async def feed(Flight flight):
    """produce(): each value is sent when the dispatcher gives leave."""
    cdef AsyncCell cell = flight.cell
    try:
        flight.check_doom()
        source = Values(cell.refuse(cell.hooks.produce()))
        flight.body = source.body
        try:
            await leave_to_send(flight)
            await send_source(flight, source)
        finally:
            await source.aclose()
    except BaseException as error:
        if not flight.given_up(error):
            cell.source_failed = True
            await settle(flight, error, True)
    finally:
        cell.dispatch.source_ended(cell.state)
        land(flight)


async def send_source(Flight flight, source):
    cdef AsyncCell cell = flight.cell
    thrown = None
    try:
        while not cell.closing:
            value = await (source.__anext__() if thrown is None else source.athrow(thrown))
            thrown = None
            try:
                cell.send_yielded(value, None)
            except Exception as error:
                thrown = error
            cell.show_outbox()
            cell.allowance -= 1
            if cell.allowance <= 0 or cell.interrupted(0):
                await leave_to_send(flight)
    except StopAsyncIteration:
        return


cdef int land(Flight flight) except -1:
    """A flight has ended."""
    cdef AsyncCell cell = flight.cell
    cell.flights.discard(flight)
    if cell.feeder is flight:
        cell.feeder = None
    cell.show_outbox()
    flight.body = flight.task = None        # the task refers to the flight: no cycle keeps the message
    flight.leave()
    return 0


# ============================================================================================ steps of these


async def take(Flight flight, result):
    """What a hook returned: a coroutine is awaited, the values of a generator are sent, all else is ignored."""
    cdef AsyncCell cell = flight.cell
    if inspect.iscoroutine(result):
        flight.body = result
        cell.is_generator(await result, flight.hook)
    elif inspect.isasyncgen(result) or inspect.isgenerator(result):
        await send_all(flight, Values(result))
    elif result is not None:
        cell.is_generator(result, flight.hook)


async def send_all(Flight flight, values):
    """Send what a generator yields; where that is sent at once, stop for room after each value that finds none."""
    cdef AsyncCell cell = flight.cell
    cdef Py_ssize_t outbox
    cdef Call keeper = None if flight.sends_at_once() else flight.call
    flight.body = values.body
    thrown = None
    try:
        while True:
            value = await (values.__anext__() if thrown is None else values.athrow(thrown))
            thrown = None
            cell.progress(flight)
            outbox = cell.outbox
            try:
                cell.send_yielded(value, keeper)
            except Exception as error:
                thrown = error          # the handler sees it where it yielded
            if keeper is None and thrown is None and cell.must_park(flight, outbox):
                await park(flight, cell.outbox > outbox)
    except StopAsyncIteration:
        return
    finally:
        await values.aclose()


async def park(Flight flight, bint has_deferred):
    """Leave the node until there is room: it still gets control messages meanwhile."""
    cdef AsyncCell cell = flight.cell
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


async def leave_to_send(Flight flight):
    """Wait until the dispatcher gives the source a turn."""
    cdef AsyncCell cell = flight.cell
    flight.gate = cell.loop.create_future()
    cell.dispatch.set_producing(cell.state, False)
    await flight.gate


async def tell(Flight flight, error):
    """The node sees an error first; what its on_error raises is logged."""
    cdef AsyncCell cell = flight.cell
    if not cell.has_on_error:
        return
    try:
        result = cell.hooks.on_error(error, flight.message)
        if inspect.iscoroutine(result):
            await result
    except BaseException as second:
        cell.report("on_error", second)


async def settle(Flight flight, error, bint governed):
    """An exception left a hook that handles no message."""
    cdef AsyncCell cell = flight.cell
    if flight.given_up(error) or cell.is_fatal(error):
        return
    await tell(flight, error)
    cell.stand(flight.hook, error, None, None, governed, 1)
