from cpython.object cimport PyObject
from graphflow.core.cells.call cimport Call
from graphflow.core.dispatch.state cimport NodeState
from graphflow.core.dispatch.turns cimport Dispatch
from graphflow.core.edges.edge cimport Edge
from graphflow.core.edges.ends cimport EdgeEnd
from graphflow.core.edges.policy cimport VERDICT_OK
from graphflow.core.edges.ring cimport Ring
from graphflow.core.messages.message cimport KIND_CONTROL, Message

cdef extern from *:
    """
    #define GF_SWAP_CURRENT(sender, slot) do { PyObject *held_ = (slot); (slot) = (PyObject *)(sender)->current; \
        (sender)->current = reinterpret_cast<decltype((sender)->current)>(held_); } while (0)
    """
    # `current` for the message that `slot` owns.
    void swap_current "GF_SWAP_CURRENT" (Sender sender, PyObject* slot) noexcept

cdef class Outlet(EdgeEnd):
    # An edge that leaves a node, and what its node emitted there that found no room. Only the worker inside the node
    # touches the deferred; others peek at their counts.
    cdef readonly Edge edge
    cdef int band
    cdef NodeState* state
    cdef Dispatch dispatch
    cdef bint to_function           # to a node from a function, which is handed dead letters as payloads; fixed
    cdef Ring deferred
    cdef Ring deferred_control
    cdef bint told_closed           # the dispatcher knows that the edge is closed; guarded by its lock

cdef class Sender:
    # Only the worker inside the node touches it, unless said otherwise.
    cdef NodeState* state           # the dispatcher's
    cdef readonly str path
    cdef object engine
    cdef object spans               # a graphflow.runtime.tracing.Spans, or None while tracing is off
    cdef readonly Dispatch dispatch
    cdef dict outs                  # port -> tuple of its Outlets
    cdef readonly list outlets
    cdef str only_out               # the output port, where there is one (a node from a function: that of its results)
    cdef tuple only_outlets         # its Outlets; None where there are several outputs
    cdef Outlet plain               # the only one of them, if its edge neither checks nor wraps what it is given
    cdef Py_ssize_t outbox          # deferred data of all outlets
    cdef Py_ssize_t control_outbox
    cdef Py_ssize_t outbox_limit
    cdef bint sends_letters         # its error policy may send dead letters; fixed
    cdef bint shown_data            # what the dispatcher was last told of the two
    cdef bint shown_control
    cdef Message current            # the message being handled: what is emitted inherits its headers

    cdef Py_ssize_t kept            # copies that open calls keep; atomic, as several workers may be inside

    cdef inline int pass_on(self, Message message) except -1:
        # Send from the only output: at once where nothing can go wrong. Answers as send() does.
        if (
            self.plain is not None and self.plain.deferred.count == 0 and message.kind != KIND_CONTROL
            and self.plain.edge.put_plain(message)
        ):
            return VERDICT_OK
        return self.send_on(self.only_outlets, message)

    cdef inline bint full_for_letters(self) noexcept:
        # Is the outbox so full that another dead letter would pass its bound? Then the node takes no control either.
        return self.sends_letters and self.outbox + self.control_outbox >= self.outbox_limit

    cdef object emit(self, object port, object value)
    cdef object keep(self, Call call, object port, object value)
    cdef int forget(self, Call call, Py_ssize_t before) except -1
    cdef int hand_on(self, Call call) except -1
    cdef tuple outlets_of(self, object port)
    cdef Message as_message(self, object value, Message parent)
    cdef int send(self, Outlet outlet, Message message) except -1
    cdef int send_on(self, tuple outlets, Message message) except -1
    cdef int send_all(self, tuple outlets, Message message) except -1
    cdef object overflow(self)
    cdef bint needs_outbox(self, Outlet outlet, object held, bint control) noexcept
    cdef int deliver(self, Outlet outlet, object held, bint control) except -1
    cdef int offer(self, Edge edge, object held, bint control) except -1
    cdef int defer(self, Outlet outlet, object held, bint control) except -1
    cdef int flush(self) except -1
    cdef bint flush_one(self, Outlet outlet, Ring ring, bint control) except -1
    cdef int show_outbox(self) except -1
    cdef int send_yielded(self, object value, Call call) except -1

cdef list prepare_all(tuple outlets, Message message)
