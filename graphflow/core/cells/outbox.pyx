# What a node sends: emit, and the outbox for what finds no room.
#
# One worker is inside a node at a time, so nothing here is locked. emit never waits and never loses: it first checks
# all that can raise on all edges of the port, so that an exception leaves no copy anywhere, then offers each edge its
# copy. What an edge refuses waits here, per edge and in order, and the dispatcher masks the node's data and ticks
# (show_outbox) until it has gone. The edge was asked, in the section that refused, to tell of room (I5), so the flush
# cannot be missed. Control has an outbox of its own and goes past deferred data.
#
# outbox_limit counts both, and what open calls keep. It is exact but for two cases: an edge that a foreign thread fills
# between the check and the offer costs one entry more an edge of the port; and a dead letter goes past it, an entry an
# edge of its port, as the handler that filled the outbox is often the one that failed. While the outbox is full a node
# that may send letters takes no control either (data it takes none anyway), so that each message under way sends one
# letter at most: one, and where several are under way (dispatch/in_flight.pyx, C7) twice as many as may be and one
# about control.

import logging

from cpython.dict cimport PyDict_GetItemWithError
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int64_t

from graphflow.core.cells.call cimport Call
from graphflow.core.edges.contents cimport ANSWER_CLOSED, CLOSED
from graphflow.core.edges.edge cimport Edge
from graphflow.core.edges.ends cimport EdgeEnd
from graphflow.core.edges.policy cimport (
    POLICY_BLOCK,
    POLICY_COALESCE,
    POLICY_CUSTOM,
    VERDICT_BLOCKED,
    VERDICT_DEFERRED,
    VERDICT_DROPPED,
    VERDICT_OK,
    put_result,
)
from graphflow.core.edges.ring cimport Ring, new_ring
from graphflow.core.messages.message cimport KIND_CONTROL, KIND_DATA, Message, make_child, make_message
from graphflow.core.messages.unawaited cimport awaitable, not_a_value
from graphflow.core.sync.lock cimport add, peek
from graphflow.core.sync.mutants cimport planted

from graphflow.base.errors import BackpressureError, GraphValidationError
from graphflow.base.events import say
from graphflow.base.issues import unknown_output

log = logging.getLogger("graphflow.node")

cdef object OK = put_result(VERDICT_OK)     # at hand, for the answer of nearly every emit


cdef class Outlet(EdgeEnd):
    """Where an edge leaves a node; see the declarations."""

    cdef void room(self) noexcept:
        self.dispatch.room(self.state)

    cdef void shut(self) noexcept:
        self.dispatch.outlet_closed(self.state, &self.told_closed)

    def waiting(self):
        """Items that the node emitted here and that found no room yet."""
        return peek(self.deferred.count) + peek(self.deferred_control.count)


cdef class Sender:
    """What a node sends, and what of it waits; see the declarations for the fields."""

    cdef object emit(self, object port, object value):
        """Send to every edge of an output port; see NodeBase.emit."""
        cdef int answer
        if port is self.only_out and port is not None:
            answer = self.pass_on(self.as_message(value, self.current))
        else:
            answer = self.send_on(self.outlets_of(port), self.as_message(value, self.current))
        return OK if answer == VERDICT_OK else put_result(answer)

    cdef tuple outlets_of(self, object port):
        cdef PyObject* found = NULL
        if isinstance(port, str):       # else it may not even be hashable
            found = PyDict_GetItemWithError(self.outs, port)
        if found == NULL:
            raise GraphValidationError([unknown_output(self.path, port, tuple(self.outs))])
        return <tuple>found

    cdef Message as_message(self, object value, Message parent):
        """What is sent for a value that was emitted while `parent` was being handled."""
        if type(value) is Message:
            if self.spans is not None and parent is not None:
                return self.spans.link(value, parent)
            return <Message>value
        if value is None:
            raise TypeError(
                f"node {self.path!r}: a bare None is not an item; to send None emit Message(MessageType.DATA, None)"
            )
        if awaitable(value):
            raise not_a_value(value, self.path)
        if parent is not None:
            return make_child(value, parent)
        return make_message(KIND_DATA, value)

    # ======================================================================================== what a call keeps

    cdef object keep(self, Call call, object port, object value):
        """Emit within a call whose emissions leave when it has ended: checked now, sent by hand_on()."""
        cdef tuple outlets = self.outlets_of(port)
        cdef Message message = self.as_message(value, call.seen)
        cdef bint control = message.kind == KIND_CONTROL
        cdef list copies = prepare_all(outlets, message)
        cdef Py_ssize_t wanted = len(outlets)
        cdef Py_ssize_t waiting
        add(self.kept, wanted)      # first: other calls of the node may emit at the same time
        waiting = peek(self.outbox) + peek(self.control_outbox) + peek(self.kept)
        if waiting > self.outbox_limit and not planted("kept without bound"):
            add(self.kept, -wanted)
            raise BackpressureError(
                f"node {self.path!r}: it keeps {waiting - wanted} messages for handlers that have not returned yet, "
                f"and outbox_limit is {self.outbox_limit}; emit less in one call, or raise the limit"
            )
        call.kept.append((outlets, copies, control))
        return put_result(VERDICT_OK)

    cdef int forget(self, Call call, Py_ssize_t before) except -1:
        """Discard what a call has emitted, but for its first `before` messages."""
        cdef Py_ssize_t copies = 0
        for outlets, _, _ in call.kept[before:]:
            copies += 1 if planted("leaking limit") else len(<tuple>outlets)
        del call.kept[before:]
        add(self.kept, -copies)
        return 0

    cdef int hand_on(self, Call call) except -1:
        """Send what a call has emitted. Only the worker that is leaving may (C4). Each copy counts as kept until it is
        somewhere else, so that no other call takes its room meanwhile."""
        cdef Outlet outlet
        cdef bint control
        cdef list leaving = call.kept
        if not planted("kept for good"):
            call.kept = []
        for outlets, copies, control in leaving:
            for outlet, held in zip(<tuple>outlets, <list>copies):
                self.deliver(outlet, held, control)
                add(self.kept, -1)
        return self.show_outbox()

    # ======================================================================================== sending at once

    cdef int send_on(self, tuple outlets, Message message) except -1:
        """Send to every edge of a port."""
        if len(outlets) == 1:
            return self.send(<Outlet>outlets[0], message)
        return self.send_all(outlets, message)

    cdef int send(self, Outlet outlet, Message message) except -1:
        """Send to one edge."""
        cdef Edge edge = outlet.edge
        cdef object held
        cdef bint control = message.kind == KIND_CONTROL
        if not control and not edge.wraps and edge.spec is None and outlet.deferred.count == 0:
            if edge.put_plain(message):
                return VERDICT_OK
        if edge.special & CLOSED:
            edge.note_dropped(False)
            return VERDICT_DROPPED
        held = edge.prepare(message)
        if self.outbox + self.control_outbox >= self.outbox_limit and self.needs_outbox(outlet, held, control):
            raise self.overflow()
        return self.deliver(outlet, held, control)

    cdef int send_all(self, tuple outlets, Message message) except -1:
        """Send to several edges: first all that can raise on any of them, then the copies."""
        cdef Outlet outlet
        cdef bint control = message.kind == KIND_CONTROL
        cdef int strongest = VERDICT_OK
        cdef Py_ssize_t needed = 0
        cdef list copies = prepare_all(outlets, message)
        cdef object held
        for outlet, held in zip(outlets, copies):
            if held is not None:
                needed += self.needs_outbox(outlet, held, control)
        if needed > 0 and self.outbox + self.control_outbox + needed > self.outbox_limit:
            raise self.overflow()
        for outlet, held in zip(outlets, copies):
            strongest = max(strongest, self.deliver(outlet, held, control))
        return strongest

    cdef object overflow(self):
        return BackpressureError(
            f"node {self.path!r}: its outbox holds {self.outbox + self.control_outbox} messages that found no room, "
            f"and outbox_limit is {self.outbox_limit}; return from the hook when emit answers DEFERRED, and the node "
            f"goes on when there is room"
        )

    cdef bint needs_outbox(self, Outlet outlet, object held, bint control) noexcept:
        """Might this copy have to wait in the outbox?"""
        cdef Edge edge = outlet.edge
        if control:
            return outlet.deferred_control.count > 0 or edge.lane.count >= edge.lane_limit
        if outlet.deferred.count > 0:
            return True
        if edge.policy_kind == POLICY_CUSTOM:
            return True
        if edge.policy_kind != POLICY_BLOCK and edge.policy_kind != POLICY_COALESCE:
            return False
        return edge.crowded(held)

    cdef int deliver(self, Outlet outlet, object held, bint control) except -1:
        """Offer a copy to its edge by the edge's policy; what is refused waits in the outbox, behind what waits
        already. Raises nothing but what kills a process."""
        cdef Ring waiting = outlet.deferred_control if control else outlet.deferred
        cdef int answer
        if held is None:
            outlet.edge.note_dropped(False)
            return VERDICT_DROPPED
        if waiting.count > 0:
            return self.defer(outlet, held, control)
        answer = self.offer(outlet.edge, held, control)
        if answer == VERDICT_BLOCKED:
            return self.defer(outlet, held, control)
        return answer

    cdef int offer(self, Edge edge, object held, bint control) except -1:
        """One offer by a policy that may be the user's: its errors are the edge's, logged and counted."""
        cdef int answer
        try:
            answer = edge.offer(held, control, None, NULL, True, False)
        except Exception as error:
            edge.note_dropped(True)
            say(
                log, "policy_error", "%s: the policy of the edge raised; the message is dropped", edge.id,
                exc_info=error, graph=self.engine.name, edge_id=edge.id, node=self.path,
            )
            return VERDICT_DROPPED
        if answer == ANSWER_CLOSED:
            edge.note_dropped(False)
            return VERDICT_DROPPED
        return answer

    cdef int defer(self, Outlet outlet, object held, bint control) except -1:
        """Keep a copy in the outbox."""
        cdef Ring ring = outlet.deferred_control if control else outlet.deferred
        cdef PyObject* mine = <PyObject*>held
        if ring.count > ring.mask:
            ring.adopt(new_ring(max(8, 2 * ring.size())))
        Py_INCREF(held)
        ring.push(&mine)
        Py_DECREF(<object>mine)
        if control:
            self.control_outbox += 1
        else:
            self.outbox += 1
        return VERDICT_DEFERRED

    cdef int flush(self) except -1:
        """Move what is deferred to its edges, control first, as far as there is room."""
        cdef Outlet outlet
        for outlet in self.outlets:
            while outlet.deferred_control.count > 0 and self.flush_one(outlet, outlet.deferred_control, True):
                self.control_outbox -= 1
        for outlet in self.outlets:
            while outlet.deferred.count > 0 and self.flush_one(outlet, outlet.deferred, False):
                self.outbox -= 1
        return 0

    cdef bint flush_one(self, Outlet outlet, Ring ring, bint control) except -1:
        """Offer the oldest deferred copy; False if its edge is still full."""
        cdef PyObject* gone = <PyObject*>None
        if self.offer(outlet.edge, <object>ring.at(0)[0], control) == VERDICT_BLOCKED:
            if not (planted("dropped outbox entry") and ring.count > 1):
                return False
        Py_INCREF(None)
        ring.pop(&gone)
        Py_DECREF(<object>gone)
        return True

    cdef int show_outbox(self) except -1:
        """Tell the dispatcher when the outbox has become empty or is not any more."""
        cdef bint data = self.outbox > 0
        cdef bint control = self.control_outbox > 0 or self.full_for_letters()
        cdef Outlet outlet
        cdef int level = 0
        cdef int64_t expiry
        if not data and not control and not self.shown_data and not self.shown_control:
            return 0
        for outlet in self.outlets:
            if outlet.deferred.count > 0 or outlet.deferred_control.count > 0:
                level = max(level, outlet.band)
                if outlet.edge.ttl_ns > 0:
                    expiry = outlet.edge.expiry_wait_ns()
                    if expiry >= 0:
                        self.dispatch.expect_room(self.state, expiry)
        self.dispatch.set_outbox(self.state, data, control, level)
        self.shown_data = data
        self.shown_control = control
        return 0

    cdef int send_yielded(self, object value, Call call) except -1:
        """Emit what a generator yielded: to the only output, or a (port, payload) pair where there are several. `call`
        keeps it, unless that is None."""
        cdef object port = self.only_out
        if port is None:
            if type(value) is tuple and len(<tuple>value) == 2:
                port = (<tuple>value)[0]
                value = (<tuple>value)[1]
            elif len(self.outs) == 0:
                raise TypeError(
                    f"node {self.path!r} yielded a value of type {type(value).__name__} but has no output port")
            else:
                raise TypeError(
                    f"node {self.path!r} has the outputs {', '.join(self.outs)}: yield (port, payload), not a value of "
                    f"type {type(value).__name__}"
                )
        if call is None and self.only_outlets is not None:
            self.pass_on(self.as_message(value, self.current))
        elif call is None:
            self.emit(port, value)
        else:
            self.keep(call, port, value)
        return 0


cdef list prepare_all(tuple outlets, Message message):
    """A copy for each edge, or None for one that is closed, which raises nothing. Raises what any of the others does,
    before anything is sent."""
    cdef Outlet outlet
    cdef list copies = []
    for outlet in outlets:
        copies.append(None if outlet.edge.special & CLOSED else outlet.edge.prepare(message))
    return copies
