# A node in a run: the turn of a worker inside it, and its life-cycle hooks.
#
# The dispatcher decides what the worker does next (choose); this file and handling.pyx do it. A turn ends when there is
# nothing more to do, the batch is used up, or something more urgent is ready elsewhere.

from cpython.contextvars cimport PyContext_Copy, PyContext_CopyCurrent
from cpython.pythread cimport PyThread_get_thread_ident
from libc.stdint cimport int64_t

from graphflow.core.cells.call cimport Call
from graphflow.core.cells.handling cimport Handler, Inlet, Suspended
from graphflow.core.dispatch.state cimport (
    CONTROL_WORK,
    CUT_WORK,
    DATA_WORK,
    DRAIN_HOOK,
    FLUSH_WORK,
    HELD_WORK,
    HOOK_WORK,
    NO_WORK,
    RETRY_WORK,
    SOURCE_WORK,
    START_HOOK,
    STOP_HOOK,
    TICK_WORK,
    Hook,
    InletState,
    NodeState,
    Stint,
    Work,
)
from graphflow.core.messages.context_vars cimport enter, leave
from graphflow.core.messages.unawaited cimport refuse_of_hook
from graphflow.core.sync.thread_state cimport Context, here


cdef dict HOOK_NAMES = {START_HOOK: "on_start", DRAIN_HOOK: "on_drain", STOP_HOOK: "on_stop"}
cdef dict WORK_NAMES = {
    CONTROL_WORK: "on_message", DATA_WORK: "on_message", HELD_WORK: "on_message", RETRY_WORK: "on_message",
    TICK_WORK: "on_tick", SOURCE_WORK: "produce",
}


cdef class Cell(Handler):
    """A node in a run; see the declarations."""

    # ======================================================================================== a turn

    cdef int turn(self, Stint* me) except -1:
        """Run the node until its turn ends. The worker has entered it, and has left it when this returns.

        end_turn comes last: after it another worker may be inside, and nothing here may be touched."""
        cdef Context* context = here()
        cdef void* outer = context.turn
        cdef void* outer_call = context.call
        cdef Turn turn
        cdef object entered = None
        turn.lanes_done = 0
        turn.cut = turn.carried = False
        turn.left = self.state.batch_left if self.state.limit == 1 else self.dispatch.batch
        context.turn = <void*>self
        context.call = NULL
        self.thread = PyThread_get_thread_ident()
        try:
            entered = self.enter_context()
            self.run(&turn)
        except BaseException as error:      # not a hook's: of a policy in a flush, of memory, of the runtime itself
            turn.left = 0
            self.crash(error)
        self.leave_context(entered)
        context.turn = outer
        context.call = outer_call
        if turn.carried:
            self.dispatch.turn_carried(self.state, me)
        else:
            self.dispatch.end_turn(self.state, turn.cut, turn.left, turn.lanes_done, me)
        return 0

    cdef inline object enter_context(self):
        """Enter the node's context for a turn, or a copy where others may be inside; gives what was entered."""
        cdef object context = PyContext_Copy(self.variables) if self.shared else self.variables
        if enter(context):
            return context
        self.variables = context = PyContext_Copy(context)      # somebody has never left it
        enter(context)
        return context

    cdef inline int leave_context(self, object entered) except -1:
        """Leave what enter_context gave, as the last of the turn that needs the node."""
        if entered is None or leave(entered):
            return 0
        return self.crash(RuntimeError(
            f"a hook of node {self.path!r} has entered a contextvars.Context and not left it: use Context.run()"
        ))

    cdef int keep_variables(self) except -1:
        """Before a hook that ran alone is done: what it has set is for all later calls."""
        if self.shared:
            self.variables = PyContext_CopyCurrent()
        return 0

    cdef int crash(self, object error) except -1:
        """The turn was cut off by an exception: the graph stops, and the node is left in order."""
        cdef Inlet inlet
        for inlet in self.inlets:       # one of them was being taken from
            self.dispatch.inlet_left(&inlet.state, False)
            self.dispatch.inlet_left(&inlet.state, True)
        return self.end_graph(self.hook_name(), error)

    cdef int run(self, Turn* turn) except -1:
        cdef NodeState* state = self.state
        cdef InletState* inlet = NULL
        cdef int quantum = 0
        cdef Work work
        cdef Suspended held
        cdef bint first = True
        while turn.left > 0:
            self.show_outbox()
            self.work = work = self.dispatch.choose(state, &inlet, &quantum, turn.lanes_done, first)
            first = False
            turn.lanes_done = 0
            quantum = min(quantum, turn.left)
            if work == NO_WORK or work == CUT_WORK:
                turn.cut = work == CUT_WORK
                break
            elif work == HOOK_WORK:
                self.hook()
                break
            elif work == FLUSH_WORK:
                self.flush()
                self.heed_outputs()
            elif work == CONTROL_WORK:
                turn.lanes_done = self.take_lane(<Inlet>self.inlets[inlet.index], quantum)
                turn.left -= turn.lanes_done
            elif work == TICK_WORK:
                turn.left -= self.tick()
            elif work == HELD_WORK:
                held = self.held_control if self.held_control is not None else self.held
                turn.left -= self.drive_within(held, quantum)
            elif work == DATA_WORK:
                turn.left -= self.take_data(<Inlet>self.inlets[inlet.index], quantum)
            elif work == SOURCE_WORK:
                turn.left -= self.pull(quantum)
        return self.show_outbox()

    cdef bint linger(self, int64_t until_ns) except -1:
        """A hook rests until that time; False: the node is to end."""
        cdef Context* context = here()
        cdef Call call = <Call>context.call if context.call != NULL else None
        if call is None:
            self.lingers = True
        else:
            call.lingers = True
        try:
            return self.engine.linger(self, until_ns)
        finally:
            if call is None:
                self.lingers = False
                self.rests += 1
            else:
                call.lingers = False
                call.rests += 1

    # ======================================================================================== life cycle

    cdef int hook(self) except -1:
        """Run the life-cycle hook that was granted."""
        self.begun += 1
        cdef Hook which = self.state.hook
        if which == START_HOOK:
            self.start_hook()
        elif which == DRAIN_HOOK:
            self.drain_hook()
        elif which == STOP_HOOK:
            self.stop_hook()
        return 0

    cdef int start_hook(self) except -1:
        """on_start, then the generator of a source. A node whose on_start fails is stopped."""
        cdef bint failed = False
        try:
            if self.has_start:
                refuse_of_hook(self.hooks.on_start(), "on_start", self.path, True)
        except BaseException as error:
            failed = True
            self.dispatch.source_ended(self.state)
            self.fail("on_start", error, None, None, False)
        self.keep_variables()
        self.dispatch.hook_done(self.state, START_HOOK, failed)
        if failed:
            self.close_inputs()
        elif self.is_source:
            self.open_source()
        return 0

    cdef int drain_hook(self) except -1:
        try:
            result = self.hooks.on_drain()
            if result is not None:
                self.settle(result, None, None, 0, "on_drain")
        except BaseException as error:
            self.fail("on_drain", error, None, None, False)
        self.keep_variables()
        self.dispatch.hook_done(self.state, DRAIN_HOOK, False)
        return 0

    cdef int stop_hook(self) except -1:
        """Close what is suspended, then on_stop; nothing may be emitted any more."""
        self.may_emit = False
        self.abandon_held()
        if self.source is not None:
            self.end_source()
        try:
            if self.has_stop:
                refuse_of_hook(self.hooks.on_stop(), "on_stop", self.path, True)
        except BaseException as error:
            self.fail("on_stop", error, None, None, False)
        self.dispatch.hook_done(self.state, STOP_HOOK, False)
        return 0

    def kept_for(self, outlet):
        """Copies for an edge that are in nobody's hands yet but this node's."""
        return 0

    def held_back(self):
        """After the run: what the node holds still, by its own account and in what was suspended when it was closed."""
        return self.node.buffered + self.closed_early

    def never_retried(self):
        """After the run: messages that were to be tried again and are not; also those of a node that is stuck inside
        another, which rest for ever."""
        return self.cut_short

    def counts(self):
        """What became of the messages that edges delivered to the node: exact while nobody is inside."""
        return {
            "handled": self.handled, "failed": self.failed, "dead_lettered": self.dead_lettered,
            "in_handler": self.in_handler, "held": self.count_held(), "abandoned": self.abandoned,
            "retries": self.retries, "ticks": self.ticks, "errors": self.error_count,
        }

    def hooks_inside(self):
        """The hooks that run now, for the watchdog: (a number that is another's for another call, name, thread, the
        coroutine or None, whether it rests in sleep(), how often it has). A moment old."""
        if self.state.running == 0:
            return []
        return [(self.begun, self.hook_name(), self.thread, None, self.lingers, self.rests)]

    cdef str hook_name(self):
        if self.work == HOOK_WORK:
            return HOOK_NAMES.get(self.state.hook, "a hook")
        return WORK_NAMES.get(self.work, "emit")

    cdef int64_t count_held(self) except -1:
        """Messages whose generators are suspended."""
        return (self.held is not None and self.held.message is not None) + (
            self.held_control is not None and self.held_control.message is not None)

    def release(self):
        """After the run: let go of everything that refers back to it."""
        self.over = True
        self.on_message = None
        self.variables = self.within = None
        self.abandoned += self.held is not None and self.held.message is not None
        self.abandoned += self.held_control is not None and self.held_control.message is not None
        self.closed_early += (self.held is not None) + (self.held_control is not None)
        self.current = None
        self.source = None
        self.spans = None
        for suspended in (self.held, self.held_control):
            if suspended is not None and (<Suspended>suspended).span is not None:
                (<Suspended>suspended).span.end()
        self.held = None
        self.held_control = None
