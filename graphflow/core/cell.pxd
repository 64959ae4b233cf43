from graphflow.core.dispatch cimport Dispatch
from graphflow.core.edge cimport Edge
from graphflow.core.message cimport Message
from graphflow.core.port cimport PortSpec
from graphflow.core.contents cimport EdgeEnd
from graphflow.core.ring cimport Ring
from graphflow.core.state cimport Hook, InletState, NodeState
from libc.stdint cimport int64_t

cdef class Inlet(EdgeEnd):
    # An edge that enters a node. Fixed once the run begins; `state` is the dispatcher's.
    cdef InletState state
    cdef readonly Edge edge
    cdef str port
    cdef Dispatch dispatch

cdef class Outlet(EdgeEnd):
    # An edge that leaves a node, and what its node emitted there that found no room. Only the worker inside the node
    # touches the deferred; others peek at their counts.
    cdef readonly Edge edge
    cdef int band
    cdef NodeState* state
    cdef Dispatch dispatch
    cdef Ring deferred
    cdef Ring deferred_control

cdef class Cell:
    # A node in a run. Only the worker inside the node touches it, unless said otherwise.
    cdef NodeState* state           # the dispatcher's
    cdef readonly object node
    cdef readonly str path
    cdef readonly Dispatch dispatch
    cdef object engine
    cdef dict outs                  # port -> tuple of its Outlets
    cdef readonly list inlets
    cdef readonly list outlets
    cdef str only_out               # the output port, where there is one
    cdef Py_ssize_t outbox          # deferred data of all outlets
    cdef Py_ssize_t control_outbox
    cdef Py_ssize_t outbox_limit
    cdef bint shown_data            # what the dispatcher was last told of the two
    cdef bint shown_control
    cdef bint may_emit              # a hook that may emit is running
    cdef readonly bint over         # the run has ended: nothing may be emitted any more (set by the keeper)
    cdef bint has_start, has_drain, has_stop, has_on_error, is_source   # hooks that the node overrides
    cdef object error_policy
    cdef object on_message
    cdef object source              # the generator of produce()
    cdef object held                # a suspended generator handler, with the message it is about
    cdef Message held_message
    cdef int held_level
    cdef Message current            # the message being handled: what is emitted inherits its headers
    # counters: written here, read by anybody
    cdef readonly int64_t handled
    cdef readonly int64_t failed
    cdef readonly int64_t abandoned
    cdef readonly int64_t in_handler
    cdef readonly int64_t ticks
    cdef readonly int64_t error_count
    cdef readonly list errors
    cdef readonly bint source_failed

    cdef int turn(self) except -1
    cdef int run(self) except -1
    cdef object emit(self, object port, object value)
    cdef Message as_message(self, object value)
    cdef int send(self, Outlet outlet, Message message) except -1
    cdef int send_all(self, tuple outlets, Message message) except -1
    cdef int deliver(self, Outlet outlet, object held, bint control) except -1
    cdef int defer(self, Outlet outlet, object held, bint control) except -1
    cdef int flush(self) except -1
    cdef int flush_ring(self, Outlet outlet, Ring ring, bint control) except -1
    cdef int show_outbox(self) except -1
    cdef int take_data(self, Inlet inlet, int quantum) except -1
    cdef int take_lane(self, Inlet inlet, int quantum) except -1
    cdef int handle(self, str port, object item, int level) except -1
    cdef int settle(self, object result, Message message, int level, str hook) except -1
    cdef int drive(self, int quantum) except -1
    cdef int let_go(self) except -1
    cdef int pull(self, int quantum) except -1
    cdef bint all_closed(self) noexcept
    cdef int end_source(self) except -1
    cdef int send_yielded(self, object value) except -1
    cdef int tick(self) except -1
    cdef int hook(self) except -1
    cdef int start_hook(self) except -1
    cdef int drain_hook(self) except -1
    cdef int stop_hook(self) except -1
    cdef int fail(self, str hook, object error, Message message, bint governed) except -1
    cdef int close_inputs(self) except -1
    cdef object overflow(self)
    cdef bint needs_outbox(self, Outlet outlet, object held, bint control) noexcept
    cdef int offer(self, Edge edge, object held, bint control) except -1
    cdef int abandon_held(self) except -1
    cdef int refuse_coroutine(self, object result, str hook) except -1
    cdef int report(self, str hook, object error) except -1
    cdef bint interrupted(self, int level) noexcept
