# What a node does with what reaches it: messages, ticks, its source, suspended generators.
#
# One worker is inside a node at a time, so nothing here is locked: the fields belong to that worker. Hooks run with no
# lock held. Handling stops at a message boundary when something was deferred (the outbox masks the rest), or when
# something above it became ready (`poke` for its own node, `urgent` for others: two relaxed peeks a message).

import logging

from cpython.contextvars cimport PyContext_CopyCurrent, PyContext_Enter, PyContext_Exit
from cpython.mem cimport PyMem_Free
from libc.stdint cimport int64_t

from graphflow.core.cells.errors cimport Faults
from graphflow.core.dispatch.state cimport (
    CONTROL_OUTBOX,
    DRAINING,
    LANE_LEVEL,
    OUTBOX,
    PAUSED,
    STOPPED,
)
from graphflow.core.edges.edge cimport Edge
from graphflow.core.edges.ends cimport EdgeEnd
from graphflow.core.messages.context_vars cimport enter_carried
from graphflow.core.messages.message cimport KIND_DATA, Message, make_message
from graphflow.core.messages.unawaited cimport awaitable, refuse_of_hook
from graphflow.core.metrics.histogram cimport record, redraw
from graphflow.core.sync.lock cimport peek

from graphflow.base.events import say

cdef extern from "Python.h":
    bint PyGen_CheckExact(object value) noexcept

log = logging.getLogger("graphflow.node")


cdef class Inlet(EdgeEnd):
    """Where an edge enters a node; see the declarations."""

    cdef void arrived(self, bint control) noexcept:
        self.dispatch.arrived(&self.state, control)

    cdef void shut(self) noexcept:
        self.dispatch.input_closed(&self.state)


cdef class Suspended:
    """A generator handler between two of its values; see the declarations."""


cdef class Handler(Faults):
    """What a node does with messages, ticks and its source; see the declarations for the fields."""

    def __dealloc__(self):
        PyMem_Free(self.handling)

    # ======================================================================================== handling

    cdef int handle_special(self, Inlet inlet, object item, int level) except -1:
        """Handle one item: in a copy of the context that it brings, and in a span, where these are asked for."""
        cdef object context = None
        if inlet.carries and type(item) is Message:
            context = enter_carried(<Message>item)
        if context is None:
            return self.handle_traced(inlet.port, item, level)
        self.within = context
        try:
            return self.handle_traced(inlet.port, item, level)
        finally:
            self.within = None
            PyContext_Exit(context)

    cdef int handle_traced(self, str port, object item, int level) except -1:
        """Handle one item in a span of its own, if tracing is on."""
        cdef Message message
        if self.spans is None:
            return self.handle(port, item, level, None)
        message = <Message>item if type(item) is Message else make_message(KIND_DATA, item)
        span, message = self.spans.enter(self.path, port, message, 1)
        return self.handle(port, message, level, span)

    cdef int handle_timed(self, Inlet inlet, object item, int level) except -1:
        """The same, timed; then the next one to be timed is chosen."""
        cdef int64_t from_ns = self.dispatch.clock.now_ns()
        self.handle_special(inlet, item, level)
        redraw(&self.handling.sampler)
        self.timed_until_now(from_ns)
        return 0

    cdef void timed_until_now(self, int64_t from_ns) noexcept:
        """A call has ended that timed_from() gave a time for."""
        record(&self.handling.times, self.dispatch.clock.now_ns() - from_ns)

    cdef int take_data(self, Inlet inlet, int quantum) except -1:
        """Handle up to `quantum` data messages of one input; returns how many. `until` is the one that is timed: kept
        here, as a look at memory for each message costs a fiftieth of a hop; so is whether calls are special."""
        cdef Edge edge = inlet.edge
        cdef int level = inlet.state.band
        cdef int done = 0
        cdef object item
        cdef int until = self.handling.sampler.countdown if self.handling != NULL else 0
        cdef bint special = self.spans is not None or inlet.carries
        while done < quantum:
            item = edge.take_plain() if not edge.wraps else None
            if item is None:
                item = edge.take_data(True)
                if item is None:
                    if until > 0:
                        self.handling.sampler.countdown = until - done
                    return done         # seen empty: the edge tells of the next item
            done += 1
            if done == until:
                self.handle_timed(inlet, item, level)
                until = done + self.handling.sampler.countdown
            elif special:
                self.handle_special(inlet, item, level)
            else:
                self.handle(inlet.port, item, level, None)
            if self.interrupted(level):
                break
        if until > 0:
            self.handling.sampler.countdown = until - done
        self.dispatch.inlet_left(&inlet.state, False)
        return done

    cdef int take_lane(self, Inlet inlet, int quantum) except -1:
        """Handle up to `quantum` control messages of one input; returns how many."""
        cdef int done = 0
        cdef object item
        while done < quantum and self.control_outbox == 0 and not self.full_for_letters():
            item = inlet.edge.take_lane(True)
            if item is None:
                return done
            done += 1
            self.handle_special(inlet, item, LANE_LEVEL)
            if self.held_control is not None or peek(self.state.poke) != 0:
                break
        self.dispatch.inlet_left(&inlet.state, True)
        return done

    cdef int handle(self, str port, object item, int level, object span) except -1:
        """Call on_message with one item; `span` is that of the call, or None."""
        cdef Message message = <Message>item if type(item) is Message else make_message(KIND_DATA, item)
        cdef Message before = self.current      # a control message may come while another handler is suspended
        cdef object result
        cdef bint handed = False    # the span is its generator's now
        self.current = message
        self.begun += 1
        self.in_handler += 1
        try:
            result = self.on_message(port, message)
            if result is None:
                self.handled += 1
            else:
                handed = self.settle(result, message, port, level, "on_message", span)
        except BaseException as error:
            if span is not None:
                span.end(error)
            self.fail("on_message", error, message, port, True)
        finally:
            self.in_handler -= 1
            self.current = before
            if span is not None and not handed:
                span.end()
        return 0

    cdef int tick(self) except -1:
        self.begun += 1
        self.ticks += 1
        try:
            result = self.hooks.on_tick()
            if result is not None:
                self.settle(result, None, None, 0, "on_tick")
        except BaseException as error:
            self.fail("on_tick", error, None, None, True)
        return 1

    cdef int say_unseen(self, Message message, str port) except -1:
        """An ERROR message has reached a node from a function that sends nothing on, so nobody sees it: said once."""
        if not self.unseen_said:
            self.unseen_said = True
            say(
                log, "error_unseen",
                "node %s: an ERROR message ends here unseen, as its function is called with DATA only; connect the "
                "port that sends it to a node of a class, or to an exposed output",
                self.path, **self.about(message, port),
            )
        return 0

    # ======================================================================================== generators

    cdef bint settle(
        self, object result, Message message, str port, int level, str hook, object span=None
    ) except -1:
        """A hook returned something: a generator is driven (True), anything but an awaitable is ignored."""
        if not self.is_generator(result, hook):
            self.handled += message is not None
            return False
        suspended = self.suspend(result, message, port, level, hook, span)
        if self.shared:
            self.drive_within(suspended, self.state.batch_left)
        else:               # it has begun here, where the context is entered that it goes on in
            self.drive(suspended, self.state.batch_left)
        return True

    cdef Suspended suspend(
        self, object generator, Message message, str port, int level, str hook, object span
    ):
        """Hold what a hook has still to emit."""
        cdef Suspended suspended = Suspended()
        suspended.span = span
        suspended.generator = generator
        suspended.message = message
        suspended.port = port
        suspended.level = level
        suspended.hook = hook
        suspended.variables = PyContext_CopyCurrent() if self.shared else self.within
        if level == LANE_LEVEL:
            self.held_control = suspended
        else:
            self.held = suspended
        return suspended

    cdef bint is_generator(self, object result, str hook) except -1:
        """What a hook returned: True for a generator; TypeError for an awaitable that nobody would run; anything else
        is ignored, and the first time that is said."""
        if PyGen_CheckExact(result):
            return True
        refuse_of_hook(result, hook, self.path, False)
        if result is not None and not self.warned:
            self.warned = True
            say(
                log, "ignored_return",
                "node %s: what %s returns is ignored (a value of type %s); use emit() or yield",
                self.path, hook, type(result).__name__, graph=self.engine.name, node=self.path, hook=hook,
            )
        return False

    cdef int drive_within(self, Suspended suspended, int quantum) except -1:
        """Go on with a generator, in the context that is its own."""
        if suspended.variables is None:
            return self.drive(suspended, quantum)
        PyContext_Enter(suspended.variables)
        self.within = None if self.shared else suspended.variables
        try:
            return self.drive(suspended, quantum)
        finally:
            self.within = None
            PyContext_Exit(suspended.variables)

    cdef int drive(self, Suspended suspended, int quantum) except -1:
        """Go on with a generator, up to `quantum` values; returns how many were emitted. It is suspended at the first
        that finds no room, and between two when its own node has something else to look at."""
        cdef int done = 0
        cdef Message before = self.current
        cdef object thrown = None
        cdef Py_ssize_t outbox = self.outbox
        self.current = suspended.message
        suspended.has_deferred = False
        if suspended.span is not None:
            suspended.span.resume()
        try:
            while done < quantum or thrown is not None:
                self.begun += 1
                if thrown is None:
                    value = next(suspended.generator)
                else:
                    value = suspended.generator.throw(thrown)
                    thrown = None
                done += 1
                try:
                    self.send_yielded(value, None)
                except Exception as error:
                    thrown = error          # the handler sees it where it yielded
                suspended.has_deferred = self.outbox > outbox
                if suspended.level != LANE_LEVEL and self.outbox > 0:
                    suspended.has_deferred = True   # data waits behind whatever waits already, control only for its own
                if thrown is None and (suspended.has_deferred or self.control_outbox > 0 or peek(self.state.poke) != 0):
                    break
            self.show_held()
        except StopIteration:
            self.handled += suspended.message is not None
            self.let_go(suspended)
            if suspended.span is not None:
                suspended.span.end()
        except BaseException as error:
            self.let_go(suspended)
            if suspended.span is not None:
                suspended.span.end(error)
            self.fail(suspended.hook, error, suspended.message, suspended.port, suspended.hook != "on_drain")
        finally:
            self.current = before
            if suspended.span is not None:
                suspended.span.suspend()
        return done

    cdef int let_go(self, Suspended suspended) except -1:
        """A generator has ended."""
        if self.held_control is suspended:
            self.held_control = None
        else:
            self.held = None
        return self.show_held()

    cdef int show_held(self) except -1:
        """Tell the dispatcher what is suspended; control goes on first."""
        cdef Suspended first = self.held_control if self.held_control is not None else self.held
        cdef int masks = OUTBOX | CONTROL_OUTBOX | PAUSED
        if self.held_control is not None:
            masks = CONTROL_OUTBOX | (OUTBOX if first.has_deferred else 0)
        self.dispatch.set_held(
            self.state, first is not None, self.held_control is not None, masks, first.level if first is not None else 0
        )
        return 0

    cdef int abandon_held(self) except -1:
        """Close suspended handlers: their messages are abandoned."""
        cdef Suspended suspended
        for suspended in (self.held_control, self.held):
            if suspended is None:
                continue
            self.abandoned += suspended.message is not None
            self.closed_early += 1
            self.let_go(suspended)
            try:
                close_within(suspended.generator, suspended.variables)
            except BaseException as error:
                if not self.is_fatal(suspended.hook, error, suspended.message, suspended.port):
                    self.tell_on_error(error, suspended.message)
                    self.note_error(suspended.hook, error, suspended.message, suspended.port)
            if suspended.span is not None:
                suspended.span.end()
        return 0

    # ======================================================================================== sources

    cdef int open_source(self) except -1:
        """Call produce(); an error here is the source's, not the start's."""
        try:
            produced = self.hooks.produce()
            refuse_of_hook(produced, "produce", self.path, False)
            self.source = iter(produced)
        except BaseException as error:
            self.source_failed = True
            self.dispatch.source_ended(self.state)
            self.fail("produce", error, None, None, True)
        return 0

    cdef int pull(self, int quantum) except -1:
        """Take up to `quantum` values from a source; returns how many. It ends when it is exhausted, has raised, is
        told to (draining), or has nobody left to send to. A value that may not be sent is refused, and it goes on: what
        is thrown into a generator ends it, and most iterators cannot even be told."""
        cdef int done = 0
        cdef object value
        if peek(self.dispatch.phase) == DRAINING or self.unheard():
            self.end_source()
            return 0
        try:
            while done < quantum and self.source is not None:
                self.begun += 1
                value = next(self.source)
                done += 1
                if (
                    self.plain is not None and value is not None and type(value) is not Message and not awaitable(value)
                ):
                    self.pass_on(make_message(KIND_DATA, value))    # nothing in it raises
                else:
                    self.send_produced(value)
                if self.interrupted(0):
                    break
            return done
        except StopIteration:
            self.source = None
            self.dispatch.source_ended(self.state)
        except BaseException as error:
            self.source = None
            self.source_failed = True
            self.dispatch.source_ended(self.state)
            self.fail("produce", error, None, None, True)
        return done + 1

    cdef int send_produced(self, object value) except -1:
        """Send what a source has produced, or refuse it: then the error policy applies to that value alone."""
        cdef object refused = None
        try:
            self.send_yielded(value, None)
        except Exception as error:
            refused = error     # handled outside: with the error in hand what on_error raises would refer to it
        if refused is not None:
            self.fail("produce", refused, self.produced_message(value), None, True)
        return 0

    cdef Message produced_message(self, object value):
        """What a source would have sent for a value that it may not send, for its dead letter."""
        if self.only_out is None and type(value) is tuple and len(<tuple>value) == 2:
            if isinstance((<tuple>value)[0], str) and (<tuple>value)[0] in self.outs:
                value = (<tuple>value)[1]
        return <Message>value if type(value) is Message else make_message(KIND_DATA, value)

    cdef int end_source(self) except -1:
        """Close the generator of produce(): its finally blocks run, and may still emit."""
        source, self.source = self.source, None
        self.dispatch.source_ended(self.state)
        try:
            if hasattr(source, "close"):
                source.close()
        except BaseException as error:
            self.source_failed = True
            self.fail("produce", error, None, None, False)
        return 0

    # ======================================================================================== nobody to send to

    cdef bint unheard(self) noexcept:
        """Are there edges that leave the node, and is every one of them closed?"""
        return self.state.outlet_count > 0 and peek(self.state.outlets_open) == 0

    cdef int stop_producing(self) except -1:
        """End the source, if there is one that has not ended."""
        if self.source is not None:
            self.end_source()
        return 0

    cdef int heed_outputs(self) except -1:
        """After a flush, which is due when an edge that leaves the node was closed: if it was the last one open, a
        source ends, and so does a node that says so. Its own inputs close, and whoever feeds it finds the same."""
        if not self.unheard() or peek(self.state.masks) & STOPPED:
            return 0
        self.stop_producing()
        if self.ends_with_outputs:
            say(
                log, "outputs_closed", "node %s ends: all its outputs are closed; what is queued for it is dropped",
                self.path, graph=self.engine.name, node=self.path,
            )
            self.stop_here()
        return 0

    # ======================================================================================== stopping

    cdef int stop_here(self) except -1:
        """STOP_NODE: on_stop is due, the inputs close, nothing more comes of what is suspended."""
        self.dispatch.stop_node(self.state)
        self.abandon_held()
        if self.source is not None:
            self.end_source()
        return self.close_inputs()

    cdef int close_inputs(self) except -1:
        """The node is stopped: its edges take nothing more, what is queued for it counts as dropped (closed)."""
        cdef Inlet inlet
        for inlet in self.inlets:
            inlet.edge.shut()
            inlet.edge.clear_out(0, True)
        return 0


cdef int close_within(object generator, object context) except -1:
    """Close a generator, in the context that is its own; None is its node's, which is entered."""
    if context is None:
        generator.close()
    else:
        context.run(generator.close)
    return 0
