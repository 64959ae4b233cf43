from graphflow.core.cells.errors cimport Faults
from graphflow.core.dispatch.state cimport InletState
from graphflow.core.dispatch.turns cimport Dispatch
from graphflow.core.edges.edge cimport Edge
from graphflow.core.edges.ends cimport EdgeEnd
from graphflow.core.messages.message cimport Message
from graphflow.core.metrics.histogram cimport Timed, sampled
from graphflow.core.sync.lock cimport peek
from libc.stdint cimport int64_t

cdef class Inlet(EdgeEnd):
    # An edge that enters a node. Fixed once the run begins; `state` is the dispatcher's.
    cdef InletState state
    cdef readonly Edge edge
    cdef str port
    cdef Dispatch dispatch
    cdef bint carries               # what comes in is handled in the context that it brings

cdef class Suspended:
    # A generator that a hook returned. Only the worker inside the node touches it.
    cdef object generator
    cdef Message message            # what it is about, None for a tick or a drain
    cdef str port
    cdef int level
    cdef str hook
    cdef bint has_deferred          # the last value found no room
    cdef object span                # a graphflow.runtime.tracing.HandlerSpan, or None
    cdef object variables           # the context that it runs in, where that is not its node's; else None

cdef class Handler(Faults):
    # Only the worker inside the node touches it, unless said otherwise.
    cdef readonly list inlets
    cdef object variables           # the node's contextvars.Context; see messages/context_vars.pyx
    cdef bint shared                # several calls may be under way: each has a copy of that; fixed
    cdef object within              # the context that the message being handled has brought, or None
    cdef bint warned                # that what a hook returns is ignored
    cdef bint unseen_said           # that an ERROR message ended here
    cdef object on_message
    cdef object source              # the generator of produce()
    cdef Suspended held             # handler of a data message, a tick or a drain
    cdef Suspended held_control     # handler of a control message
    # counters: written here, read by anybody
    cdef int64_t begun              # hooks, and values of generators, begun so far
    cdef readonly int64_t handled
    cdef readonly int64_t abandoned
    cdef readonly int64_t cut_short     # messages that were in backoff when the stop left no time for another attempt
    cdef readonly int64_t closed_early  # generators and coroutines that the stop closed before they had ended
    cdef readonly int64_t in_handler
    cdef readonly int64_t ticks
    cdef readonly bint source_failed
    cdef Timed* handling            # how long on_message takes; NULL where that is not measured
    cdef bint is_source             # the node defines produce(); fixed
    cdef bint ends_with_outputs     # the node ends when nobody is left that it could send to; fixed
    cdef str inlet_port             # of a compiled step: where its present batch came in, and the band of that edge
    cdef int inlet_level

    cdef inline int64_t timed_from(self) noexcept:
        # The time now, if this call is one that is timed; else 0.
        if self.handling != NULL and sampled(&self.handling.sampler):
            return self.dispatch.clock.now_ns()
        return 0

    cdef inline bint interrupted(self, int level) noexcept:
        # At a message boundary: must the worker look up from what it is doing?
        return (
            self.outbox > 0 or self.control_outbox > 0 or self.held is not None or self.held_control is not None
            or peek(self.state.poke) != 0 or peek(self.state.crew.urgent) > level
        )

    cdef int handle_timed(self, Inlet inlet, object item, int level) except -1
    cdef void timed_until_now(self, int64_t from_ns) noexcept
    cdef int take_data(self, Inlet inlet, int quantum) except -1
    cdef int take_lane(self, Inlet inlet, int quantum) except -1
    cdef int handle(self, str port, object item, int level, object span) except -1
    cdef int handle_special(self, Inlet inlet, object item, int level) except -1
    cdef int handle_traced(self, str port, object item, int level) except -1
    cdef int say_unseen(self, Message message, str port) except -1
    cdef int tick(self) except -1
    cdef bint settle(
        self, object result, Message message, str port, int level, str hook, object span=*
    ) except -1
    cdef Suspended suspend(
        self, object generator, Message message, str port, int level, str hook, object span
    )
    cdef bint is_generator(self, object result, str hook) except -1
    cdef int drive(self, Suspended suspended, int quantum) except -1
    cdef int drive_within(self, Suspended suspended, int quantum) except -1
    cdef int let_go(self, Suspended suspended) except -1
    cdef int show_held(self) except -1
    cdef int abandon_held(self) except -1
    cdef int open_source(self) except -1
    cdef int pull(self, int quantum) except -1
    cdef int send_produced(self, object value) except -1
    cdef Message produced_message(self, object value)
    cdef int end_source(self) except -1
    cdef int stop_producing(self) except -1
    cdef bint unheard(self) noexcept
    cdef int heed_outputs(self) except -1
    cdef int close_inputs(self) except -1

cdef int close_within(object generator, object context) except -1
