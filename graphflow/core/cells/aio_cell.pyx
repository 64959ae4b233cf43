# A node with an async hook in a run: what each of its hooks does, as a coroutine on the event loop of the scheduler.
#
# A turn starts a coroutine, as a Flight that holds the worker's place inside the node (flight.pyx). handle, start,
# drain, stop and feed each see one kind of hook through: they await what it returns, send what it yields, and make of
# its errors what the node's error policy says. All of it runs on the loop's thread, so nothing here is locked.
#
# produce() alone holds no place while it awaits its next value: messages and ticks of the node go on meanwhile, and the
# values are sent when the dispatcher gives the source a turn.

import asyncio
import inspect

from cpython.contextvars cimport PyContext_Exit

from graphflow.core.cells.call cimport Call
from graphflow.core.cells.flight cimport Flight, FlightCell, open_gate
from graphflow.core.dispatch.state cimport DRAIN_HOOK, DRAINING, START_HOOK, STOP_HOOK, STOPPED, Hook
from graphflow.core.edges.forked cimport leave_if_stranded
from graphflow.core.messages.message cimport Message
from graphflow.core.messages.unawaited cimport awaitable, closed, refuse_unrun
from graphflow.core.sync.lock cimport add, peek

from graphflow.base.errors import BackpressureError
from graphflow.core.cells.flight import outgrow, park
from graphflow.core.cells.generators import Values

cdef object TOO_MUCH = BackpressureError()


cdef class AsyncCell(FlightCell):
    """A node whose hooks run on the event loop; see the declarations for the fields."""

    # ======================================================================================== what a turn starts

    cdef bint begin(self, Call call) except -1:
        cdef object entered = self.enter_call(call)
        try:
            self.attempt_begins(call)
            self.launch(call.hook, call, handle, True)      # its task copies the context, in which the span is current
            if call.span is not None:
                call.span.suspend()
        finally:
            PyContext_Exit(entered)
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

    cdef int produce(self) except -1:
        """Let the source send its next values, or end it."""
        if peek(self.dispatch.phase) == DRAINING or self.unheard():
            return self.close_source()
        self.allowance = self.dispatch.batch
        self.dispatch.set_producing(self.state, True)
        open_gate(self.feeder)
        return 0

    # ======================================================================================== the source, and the end

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

    cdef int stop_producing(self) except -1:
        return self.close_source()

    cdef int stop_here(self) except -1:
        self.dispatch.stop_node(self.state)
        return self.close_inputs()

    def release(self):
        """After the run: let go of everything that refers back to it."""
        FlightCell.release(self)
        self.feeder = None

    def refuse(self, produced):
        """What produce() returned; TypeError for an awaitable, which has no values."""
        if awaitable(produced):
            closed(produced)
            raise TypeError(f"produce() of node {self.path!r} is a coroutine; it must yield, or return an iterator")
        return produced


# ============================================================================================ seeing hooks through


async def handle(Flight flight):
    """on_message or on_tick, once."""
    cdef AsyncCell cell = <AsyncCell>flight.cell
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
            cell.closed_early += 1
            cell.forget(call, 0)
            cell.end_call(call)
        elif cell.attempt_ends_in(call, error):
            await tell(flight, error, flight.message)
            cell.try_or_give_up(call, error)
    else:
        cell.attempt_succeeded(call)
    finally:
        land(flight)


async def start(Flight flight):
    """on_start; then the source is opened."""
    cdef AsyncCell cell = <AsyncCell>flight.cell
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
        cell.keep_variables()
        cell.dispatch.hook_done(cell.state, START_HOOK, failed)
        if failed:
            cell.close_inputs()
        elif cell.is_source:
            cell.open_source()
    finally:
        land(flight)


async def drain(Flight flight):
    """on_drain; what it emits is delivered."""
    cdef AsyncCell cell = <AsyncCell>flight.cell
    try:
        flight.check_doom()
        await take(flight, cell.hooks.on_drain())
    except BaseException as error:
        cell.closed_early += flight.given_up(error)
        await settle(flight, error, False)
    try:
        cell.keep_variables()
        cell.dispatch.hook_done(cell.state, DRAIN_HOOK, False)
    finally:
        land(flight)


async def stop(Flight flight):
    """End what is parked and the source, then on_stop; nothing may be emitted any more."""
    cdef AsyncCell cell = <AsyncCell>flight.cell
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
    cdef AsyncCell cell = <AsyncCell>flight.cell
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
    cdef AsyncCell cell = <AsyncCell>flight.cell
    try:
        while not cell.closing:
            value = await source.__anext__()
            refused = None
            try:
                cell.send_yielded(value, None)
            except Exception as error:
                refused = error         # of this value alone: the source goes on
            if refused is not None:
                await refuse(flight, refused, cell.produced_message(value))
            cell.show_outbox()
            cell.allowance -= 1
            if cell.allowance <= 0 or cell.interrupted(0):
                await leave_to_send(flight)
    except StopAsyncIteration:
        return


async def refuse(Flight flight, error, Message message):
    """What a source may not send: the error policy applies to it alone."""
    cdef AsyncCell cell = <AsyncCell>flight.cell
    await tell(flight, error, message)
    cell.stand("produce", error, message, None, True, 1)
    if peek(cell.state.masks) & STOPPED:
        cell.closing = True


cdef int land(Flight flight) except -1:
    """A flight has ended."""
    cdef AsyncCell cell = <AsyncCell>flight.cell
    cell.flights.discard(flight)
    if cell.feeder is flight:
        cell.feeder = None
    cell.show_outbox()
    flight.body = flight.task = None        # the task refers to the flight: no cycle keeps the message
    flight.leave()
    return 0


# ============================================================================================ steps of these


async def take(Flight flight, result):
    """What a hook returned: an awaitable is awaited, the values of a generator are sent, all else is ignored."""
    cdef AsyncCell cell = <AsyncCell>flight.cell
    if result is None:
        return
    if awaitable(result):
        if inspect.iscoroutine(result):
            flight.body = result
        result = await result
        if result is not None:
            refuse_unrun(result, f"{flight.hook} of node {cell.path!r}", "await it, or yield its values, in the hook")
            cell.is_generator(result, flight.hook)
    elif inspect.isasyncgen(result) or inspect.isgenerator(result):
        if flight.hook == "on_start" or flight.hook == "on_stop":
            refuse_unrun(result, f"{flight.hook} of node {cell.path!r}", "send with emit(), in on_start")
        await send_all(flight, Values(result))
    else:
        cell.is_generator(result, flight.hook)


async def send_all(Flight flight, values):
    """Send what a generator yields; where that is sent at once, stop for room after each value that finds none."""
    cdef AsyncCell cell = <AsyncCell>flight.cell
    cdef Py_ssize_t outbox
    cdef Call keeper = None if flight.sends_at_once() else flight.call
    flight.body = values.body
    thrown = None
    try:
        while True:
            value = await (values.__anext__() if thrown is None else values.athrow(thrown))
            thrown = None
            if cell.over:
                leave_if_stranded(None)
            cell.progress(flight)
            if keeper is not None:
                thrown = TOO_MUCH if cell.outgrows(keeper) else sent(cell, value, keeper)
                if isinstance(thrown, BackpressureError):
                    await outgrow(flight)
                    keeper = None
            outbox = cell.outbox
            if keeper is None:
                thrown = sent(cell, value, None)
            if keeper is None and thrown is None and cell.must_park(flight, outbox):
                await park(flight, cell.outbox > outbox)
    except StopAsyncIteration:
        return
    finally:
        await values.aclose()


cdef object sent(AsyncCell cell, object value, Call keeper):
    """Send a value, or keep it: None, or the error that its generator is to see where it yielded."""
    try:
        cell.send_yielded(value, keeper)
    except Exception as error:
        return error
    return None


async def leave_to_send(Flight flight):
    """Wait until the dispatcher gives the source a turn."""
    cdef AsyncCell cell = <AsyncCell>flight.cell
    flight.gate = cell.loop.create_future()
    cell.dispatch.set_producing(cell.state, False)
    await flight.gate


async def tell(Flight flight, error, Message message):
    """The node sees an error first; what its on_error raises is logged."""
    cdef AsyncCell cell = <AsyncCell>flight.cell
    if not cell.has_on_error:
        return
    try:
        result = cell.hooks.on_error(error, message)
        if result is not None and awaitable(result):
            result = await result
        if result is not None:
            refuse_unrun(result, f"on_error of node {cell.path!r}", "await it in the hook; of a generator: emit()")
    except BaseException as second:
        if not flight.given_up(second):
            cell.fail_on_error(second, message)


async def settle(Flight flight, error, bint governed):
    """An exception left a hook that handles no message."""
    cdef AsyncCell cell = <AsyncCell>flight.cell
    if flight.given_up(error) or cell.is_fatal(flight.hook, error, None, None):
        return
    await tell(flight, error, None)
    cell.stand(flight.hook, error, None, None, governed, 1)
