# A node in a run that handles several messages at once, or tries them again: what its hooks emit is kept in a Call
# until the call has ended, and leaves in the order of the messages. See dispatch/in_flight.pyx for the rules and the
# races.
#
# Several workers may be inside. A worker takes a message while it alone claims, handles it with nobody in its way, and
# hands on what has ended if nobody does. Counters are atomic; the call belongs to the worker that is at it; everything
# of the cell's that is not fixed is touched by the worker that claims (inputs), by the one that is leaving (outlets,
# outbox), or by a life-cycle hook, which runs alone.

import logging

from cpython.contextvars cimport PyContext_Copy, PyContext_Enter, PyContext_Exit
from cpython.pythread cimport PyThread_get_thread_ident
from libc.stdint cimport int64_t

from graphflow.core.cells.call cimport Call, new_call
from graphflow.core.cells.cell cimport Cell, Turn
from graphflow.core.cells.errors cimport prepare_letters, release_frames
from graphflow.core.cells.handling cimport Inlet, close_within
from graphflow.core.dispatch.state cimport (
    CONTROL_WORK,
    CUT_WORK,
    DATA_WORK,
    FLUSH_WORK,
    HELD_WORK,
    HOOK_WORK,
    LANE_LEVEL,
    NO_WORK,
    RETRY_WORK,
    SOURCE_WORK,
    STOPPED,
    STOPPING,
    TICK_WORK,
    CallState,
    InletState,
    Work,
)
from graphflow.core.edges.forked cimport leave_if_stranded
from graphflow.core.messages.context_vars cimport enter_carried
from graphflow.core.messages.message cimport KIND_DATA, Message, make_message
from graphflow.core.sync.lock cimport add, peek
from graphflow.core.sync.mutants cimport planted
from graphflow.core.sync.thread_state cimport Context, here

from graphflow.base.errors import BackpressureError
from graphflow.base.events import in_a_line, say

cdef enum:
    RETRIES_LOGGED = 16         # of each node, then only powers of two

log = logging.getLogger("graphflow.node")


cdef class StagedCell(Cell):
    """A node whose emissions wait for their call; see the declarations for the fields."""

    cdef int run(self, Turn* turn) except -1:
        cdef InletState* inlet = NULL
        cdef CallState* rested
        cdef int quantum = 0
        cdef Work work
        cdef bint first = True
        while turn.left > 0 and not turn.carried:
            self.work = work = self.dispatch.choose(self.state, &inlet, &quantum, turn.lanes_done, first)
            first = False
            turn.lanes_done = 0
            turn.left -= 1
            if work == NO_WORK or work == CUT_WORK:
                turn.cut = work == CUT_WORK
                break
            elif work == HOOK_WORK:
                turn.carried = self.live()
                break
            elif work == FLUSH_WORK:
                self.flush_and_leave()
            elif work == CONTROL_WORK:
                turn.lanes_done = 1
                turn.carried = self.claim_control(<Inlet>self.inlets[inlet.index])
            elif work == TICK_WORK:
                turn.carried = self.claim_tick()
            elif work == HELD_WORK:
                turn.carried = self.go_on()
                self.dispatch.claim_done(self.state)
            elif work == RETRY_WORK:
                rested = self.dispatch.take_rested(self.state, False)
                turn.lanes_done = rested != NULL and (<Call>rested.call).control
                turn.carried = rested != NULL and self.resume(<Call>rested.call)
            elif work == DATA_WORK:
                turn.carried = self.claim_data(<Inlet>self.inlets[inlet.index])
            elif work == SOURCE_WORK:
                self.produce()
        return 0

    cdef bint live(self) except -1:
        """Run the life-cycle hook that was granted; alone inside. True: a coroutine goes on with it."""
        self.hook()
        self.show_outbox()
        return False

    cdef bint go_on(self) except -1:
        """Go on with a generator of on_drain, or with a call that has outgrown what may be kept. True: it goes on by
        itself."""
        cdef CallState* first = self.dispatch.first_stream(self.state)
        if first != NULL:
            self.stream_within(<Call>first.call)
        else:
            self.drive_within(self.held, 1)
        self.show_outbox()
        return False

    cdef int produce(self) except -1:
        """Take a value from produce(), in a node that one worker is inside at a time."""
        self.pull(1)
        return self.show_outbox()

    cdef int crash(self, object error) except -1:
        self.dispatch.claim_done(self.state)
        return Cell.crash(self, error)

    # ======================================================================================== taking

    cdef bint claim_data(self, Inlet inlet) except -1:
        """Take one data message and handle it. True: a coroutine goes on with it."""
        return self.claim(inlet, inlet.edge.take_data(True), inlet.state.band)

    cdef bint claim_control(self, Inlet inlet) except -1:
        """Take one control message and handle it."""
        return self.claim(inlet, inlet.edge.take_lane(True), LANE_LEVEL)

    cdef bint claim(self, Inlet inlet, object item, int level) except -1:
        cdef Message message
        cdef Call call
        if item is None:
            self.dispatch.claim_done(self.state)    # seen empty: the edge tells of the next item
            return False
        message = <Message>item if type(item) is Message else make_message(KIND_DATA, item)
        call = new_call("on_message", message, inlet.port, level, self.stages)
        call.carries = inlet.carries
        self.open_call(call, &inlet.state)
        return self.begin(call)

    cdef bint claim_tick(self) except -1:
        cdef Call call = new_call("on_tick", None, None, 0, self.stages)
        add(self.ticks, 1)
        self.open_call(call, NULL)
        return self.begin(call)

    cdef int open_call(self, Call call, InletState* inlet) except -1:
        """The message is this call's: let the next worker take one."""
        self.open_calls.add(call)
        self.dispatch.open_call(self.state, &call.state, inlet, call.control)
        return 0

    # ======================================================================================== handling

    cdef bint begin(self, Call call) except -1:
        """Handle the call, from its taking or after a rest. True: a coroutine goes on with it."""
        cdef object entered = self.enter_call(call)
        call.variables = entered        # the local one is left: another attempt may begin before this has returned
        try:
            self.attempt(call)
        finally:
            if entered is not None:
                PyContext_Exit(entered)
        return False

    cdef object enter_call(self, Call call):
        """Enter a context for this attempt alone: a copy of what the message brings, or of the node's where others may
        be inside. None: it runs in the node's."""
        cdef object context = enter_carried(call.message) if call.carries else None
        if context is None and self.shared:
            context = PyContext_Copy(self.variables)
            PyContext_Enter(context)
        return context

    cdef int attempt(self, Call call) except -1:
        cdef Context* context = here()
        self.attempt_begins(call)
        context.call = <void*>call
        call.thread = PyThread_get_thread_ident()
        try:
            self.call_hook(call)
        except BaseException as error:
            self.attempt_failed(call, error)
        else:
            if call.outgrown:
                self.wait_to_stream(call)
            else:
                self.attempt_succeeded(call)
        finally:
            call.thread = 0
            context.call = NULL
        return 0

    cdef bint resume(self, Call call) except -1:
        """After a rest: the next attempt, or the end of a call that the drain has cut short."""
        if not call.state.cut:
            return self.begin(call)
        self.give_up(call)
        return False

    cdef int attempt_begins(self, Call call) except -1:
        call.attempts += 1
        call.error = None
        add(self.begun, 1)
        call.number = self.begun
        call.resting = False
        call.before = len(call.kept)        # what on_error has emitted is not taken back
        add(self.in_handler, call.message is not None)
        call.from_ns = self.timed_from() if call.message is not None else 0
        if self.spans is not None and call.message is not None:
            call.span, call.seen = self.spans.enter(self.path, call.port, call.message, call.attempts)
        return 0

    cdef int attempt_ends(self, Call call, object error) except -1:
        """An attempt is over, whatever came of it."""
        if call.span is not None:
            call.span.end(error)
            call.span = None
        add(self.in_handler, -(call.message is not None))
        if call.from_ns != 0:
            self.timed_until_now(call.from_ns)
        return 0

    cdef int attempt_succeeded(self, Call call) except -1:
        self.attempt_ends(call, None)
        add(self.handled, call.message is not None)
        return self.end_call(call)

    cdef int call_hook(self, Call call) except -1:
        """Run on_message or on_tick; a generator is exhausted at once, as what it yields is kept, or outgrows that."""
        if call.message is not None:
            result = self.on_message(call.port, call.seen)
        else:
            result = self.hooks.on_tick()
        if result is not None and self.is_generator(result, call.hook):
            self.exhaust(call, result)
        return 0

    cdef int exhaust(self, Call call, object generator) except -1:
        thrown = None
        try:
            while True:
                value = next(generator) if thrown is None else generator.throw(thrown)
                thrown = None
                if self.over:
                    leave_if_stranded(None)
                if self.outgrows(call):
                    break
                try:
                    self.send_yielded(value, call)
                except BackpressureError:
                    break
                except Exception as error:
                    thrown = error          # the handler sees it where it yielded
        except StopIteration:
            return 0
        call.outgrown = True
        call.generator = generator
        call.unsent = (value,)
        return 0

    # ======================================================================================== more than may be kept

    cdef bint outgrows(self, Call call) noexcept:
        """Where several calls share what may be kept, generators leave half of it to those that emit()."""
        return self.state.limit > 1 and 2 * peek(self.kept) >= self.outbox_limit

    cdef int wait_to_stream(self, Call call) except -1:
        """The worker leaves an outgrown call, which goes on when it is its turn to leave."""
        if call.span is not None:
            call.span.suspend()
        call.from_ns = 0            # its rest is no handling
        self.pause_stream(call)
        self.dispatch.outgrow(self.state, &call.state)
        return 0

    cdef int pause_stream(self, Call call) except -1:
        """Nobody is at the call: its message is held."""
        call.waiting = True
        add(self.in_handler, -(call.message is not None))
        return 0

    cdef int resume_stream(self, Call call) except -1:
        """Somebody is at the call again; what it has kept leaves first."""
        call.waiting = False
        add(self.in_handler, call.message is not None)
        if len(call.kept) > 0:
            self.hand_on(call)
        return 0

    cdef int stream_within(self, Call call) except -1:
        """Go on with an outgrown call in the context that it began in. Whoever entered that has left the node."""
        cdef object context = call.variables
        if context is None:
            return self.stream(call)
        PyContext_Enter(context)
        try:
            return self.stream(call)
        finally:
            PyContext_Exit(context)

    cdef int stream(self, Call call) except -1:
        """Send what an outgrown call yields, up to a batch, until it finds no room. Its turn to leave has come, and the
        worker is alone inside, so it may touch the outlets."""
        cdef object thrown = None
        cdef int done = 0
        self.resume_stream(call)
        if call.span is not None:
            call.span.resume()
        self.current = call.seen
        try:
            while thrown is not None or call.unsent is not None or self.may_go_on(done):
                if call.unsent is None:
                    self.begun += 1
                    value = next(call.generator) if thrown is None else call.generator.throw(thrown)
                    call.unsent = (value,)
                    thrown = None
                if not self.may_go_on(0):
                    break
                done += 1
                value = call.unsent[0]
                call.unsent = None
                try:
                    self.send_yielded(value, None)
                except Exception as error:
                    thrown = error          # the handler sees it where it yielded
        except StopIteration:
            call.generator = None
            self.attempt_succeeded(call)
        except BaseException as error:
            call.generator = None
            self.attempt_failed(call, error)
        else:
            if call.span is not None:
                call.span.suspend()
            self.pause_stream(call)
        finally:
            self.current = None
        return 0

    cdef bint may_go_on(self, int done) noexcept:
        """Is there room for another value of a stream, and nothing more urgent in its node?"""
        return done < self.dispatch.batch and self.outbox == 0 and self.control_outbox == 0 and (
            done == 0 or peek(self.state.poke) == 0
        )

    cdef int abandon_streams(self) except -1:
        """Give up the outgrown calls that wait; they count as abandoned."""
        cdef Call call
        for call in list(self.open_calls):
            if not call.waiting:
                continue
            call.waiting = False
            self.closed_early += 1
            add(self.abandoned, call.message is not None)
            generator, call.generator, call.unsent = call.generator, None, None
            try:
                if hasattr(generator, "close"):
                    close_within(generator, call.variables)
            except BaseException as error:
                self.fail(call.hook, error, call.seen, None, False)
            if call.span is not None:
                call.span.end()
                call.span = None
            self.forget(call, 0)
            self.end_call(call)
        return 0

    # ======================================================================================== failing

    cdef int attempt_failed(self, Call call, object error) except -1:
        """The hook raised."""
        if self.attempt_ends_in(call, error):
            self.tell_on_error(error, call.seen)
            self.try_or_give_up(call, error)
        return 0

    cdef bint attempt_ends_in(self, Call call, object error) except -1:
        """What a failed attempt emitted does not count where there may be another. False: the error stops the graph,
        and nothing is to be done."""
        self.attempt_ends(call, error)
        if self.error_policy.kind == "retry" and not (planted("failed attempt published") and call.attempts > 2):
            self.forget(call, call.before)
        if not self.is_fatal(call.hook, error, call.seen, call.port):
            return True
        add(self.failed, call.message is not None)
        self.end_call(call)
        return False

    cdef int try_or_give_up(self, Call call, object error) except -1:
        """After on_error: rest and try again, or give the message up."""
        if self.tries_again(call):
            if self.back_off(call, error):
                return 0
            add(self.cut_short, call.message is not None)
        self.stand(call.hook, error, call.seen, call.port, True, call.attempts)
        return self.end_call(call)

    cdef int give_up(self, Call call) except -1:
        """The drain leaves no time for another attempt at a call that rests: its error stands."""
        cdef Context* context = here()
        context.call = <void*>call      # a dead letter is its own
        call.resting = False
        try:
            add(self.cut_short, call.message is not None)
            self.stand(call.hook, call.error, call.seen, call.port, True, call.attempts)
        finally:
            context.call = NULL
        return self.end_call(call)

    cdef bint tries_again(self, Call call) except -1:
        return (
            not call.outgrown and call.attempts < self.error_policy.attempts and peek(self.dispatch.phase) < STOPPING
            and not peek(self.state.masks) & STOPPED
        )

    cdef bint back_off(self, Call call, object error) except -1:
        """Let the message rest; no worker is held meanwhile. False if a drain leaves no time for another attempt.

        Once it rests another worker may be at it: what is logged of it then was read before."""
        cdef double rest = self.error_policy.delay_s(call.attempts, self.random())
        cdef int attempts = call.attempts
        call.error = release_frames(error)
        call.resting = True
        if not self.dispatch.rest(
            self.state, &call.state,
            self.dispatch.clock.now_ns() + <int64_t>(min(rest, 1e9) * 1e9),     # 30 years; more would not fit
        ):
            call.resting = False
            return False
        add(self.retries, 1)
        self.report_retry(call, error, attempts, rest)
        return True

    cdef int report_retry(self, Call call, object error, int attempts, double rest) except -1:
        """Log an attempt that failed, in one line: its traceback comes with the last attempt. A flood of them is
        thinned out as one of errors is."""
        cdef int64_t count = peek(self.retries)
        if count > RETRIES_LOGGED and count & (count - 1):
            return 0
        say(
            log, "retry", "node %s: %s raised %s in attempt %d of %d; again in %.3g s (retry %d of this node)%s",
            self.path, call.hook, in_a_line(error), attempts, self.error_policy.attempts, rest, count,
            "; from here on only retries 32, 64, 128, ... are logged" if count == RETRIES_LOGGED else "",
            hook=call.hook, attempt=attempts, **self.about(call.message, call.port),
        )
        return 0

    cdef int post(self, tuple outlets, Message letter) except -1:
        """A dead letter leaves in its call's turn, like what the call emitted."""
        cdef Call call = <Call>here().call if here().call != NULL else None
        if call is None:
            return Cell.post(self, outlets, letter)
        call.kept.append((outlets, prepare_letters(outlets, letter), False))
        add(self.kept, <Py_ssize_t>len(outlets))
        return 0

    cdef int stop_here(self) except -1:
        """STOP_NODE: on_stop is due when everybody has left; calls that rest are given up by it."""
        self.dispatch.stop_node(self.state)
        if self.source is not None:
            self.end_source()
        return self.close_inputs()

    # ======================================================================================== leaving

    cdef int end_call(self, Call call) except -1:
        """The call has been handled or given up: it leaves when its turn has come."""
        if self.dispatch.end_call(self.state, &call.state, call.control):
            self.let_leave()
        return 0

    cdef int let_leave(self) except -1:
        """Hand on what the calls emitted that leave, in their order; the role is given back whatever comes."""
        cdef CallState* leaver = self.dispatch.next_leaver(self.state)
        cdef Call call
        while leaver != NULL:
            call = <Call>leaver.call
            if self.over:
                return 0            # what it keeps is counted as undelivered: see kept_for
            try:
                self.hand_on(call)
            except BaseException as error:      # no hook's: of a policy that exits, of memory
                self.end_graph("emit", error)
            self.open_calls.discard(call)
            leaver = self.dispatch.next_leaver(self.state)
        return 0

    cdef int flush_and_leave(self) except -1:
        """Empty the outbox, then let leave what has ended meanwhile."""
        try:
            self.flush()
            self.show_outbox()
        finally:
            self.let_leave()
        return self.heed_outputs()

    def kept_for(self, outlet):
        """Copies for an edge that ended calls keep: after a run, those that stood behind a call that never ended."""
        cdef Py_ssize_t copies = 0
        for call in list(self.open_calls):
            if (<Call>call).state.ended:
                for outlets, _, _ in (<Call>call).kept:
                    copies += (<tuple>outlets).count(outlet)
        return copies

    cdef int stop_hook(self) except -1:
        self.abandon_calls()
        self.abandon_streams()
        return Cell.stop_hook(self)

    cdef int abandon_calls(self) except -1:
        """Give up the calls that rest: by their policy where a drain has run out of time, unless the run is over; else
        they count as abandoned."""
        cdef CallState* rested = self.dispatch.take_rested(self.state, True)
        while rested != NULL:
            if rested.cut and not self.over:
                self.give_up(<Call>rested.call)
            else:
                self.abandon(<Call>rested.call)
            rested = self.dispatch.take_rested(self.state, True)
        return 0

    cdef int abandon(self, Call call) except -1:
        """A call that rests is not gone on with."""
        add(self.abandoned, call.message is not None)
        add(self.cut_short, call.message is not None)
        call.resting = False
        self.forget(call, 0)
        return self.end_call(call)

    def hooks_inside(self):
        """The calls that run now; else what a life-cycle hook or a source does there alone."""
        calls = [
            (
                (<Call>call).number, (<Call>call).hook, (<Call>call).thread, None, (<Call>call).lingers,
                (<Call>call).rests,
            )
            for call in list(self.open_calls) if (<Call>call).thread != 0
        ]
        return calls or Cell.hooks_inside(self)

    def never_retried(self):
        cdef int64_t resting = 0
        for call in list(self.open_calls):
            resting += (<Call>call).resting and (<Call>call).message is not None
        return self.cut_short + resting

    cdef int64_t count_held(self) except -1:
        """Messages that rest before another attempt, or wait for their turn to leave."""
        cdef int64_t resting = 0
        for call in list(self.open_calls):
            resting += ((<Call>call).resting or (<Call>call).waiting) and (<Call>call).message is not None
        return resting

    def release(self):
        """After the run: let go of everything that refers back to it."""
        Cell.release(self)
        self.abandon_calls()
        self.abandon_streams()
        self.open_calls.clear()
