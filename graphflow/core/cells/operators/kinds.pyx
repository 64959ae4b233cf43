# What compiled steps do with a message: one class for each kind of operator. See loop.pyx for the loop around them.
#
# An operator is called by the worker inside its node, with the GIL and no lock held. What it raises is the node's
# error, as if on_message had raised it. It sends at once and never waits: what finds no room is in the outbox, and the
# loop stops there.
#
# A map whose message nobody else holds puts its result into that same message instead of making another: the headers
# are carried over by staying where they are. It is done only where nothing after it can raise, so that a message that
# failed still holds what it came with.
#
# A result that nobody would run (a coroutine of a function that is no `async def` itself, above all) is an error: see
# messages/unawaited.pyx. What is looked at is the type of a result that is not one of the usual few.

cimport cython

from graphflow.core.cells.base cimport NodeBase
from graphflow.core.cells.handling cimport Handler, Suspended
from graphflow.core.messages.message cimport KIND_ERROR, Message
from graphflow.core.messages.unawaited cimport awaitable, refuse_result
from graphflow.core.sync.lock cimport peek

from graphflow.core.cells.errors import Unsent

cdef extern from "Python.h":
    bint PyAsyncGen_CheckExact(object value) noexcept

cdef enum:
    VALUES_IN_A_ROW = 64    # of one flat map's result, before its node looks up


cdef class Operator:
    """What a compiled step does with one message; see the declarations."""

    def __init__(self, function):
        self.function = function

    def around(self, wrap):
        """The same kind of operator, with the function that `wrap` makes of this one's."""
        return type(self)(wrap(self.function))

    cdef int apply(self, Handler cell, Message message, bint in_place) except -1:
        raise NotImplementedError

    def called(self, NodeBase node, payload):
        """What the function returns for a payload, for on_message of its node; TypeError for what nobody would run."""
        return self.result(node.cell, payload)

    cdef object result(self, Handler cell, object payload):
        return self.function(payload)       # what is sent is looked at where it is sent


@cython.final
cdef class Map(Operator):
    """Sends what the function makes of a payload."""

    def __init__(self, function, skips_none=False):
        Operator.__init__(self, function)
        self.skips_none = skips_none

    def around(self, wrap):
        return Map(wrap(self.function), self.skips_none)

    cdef int apply(self, Handler cell, Message message, bint in_place) except -1:
        value = self.function(message.payload)
        if value is None and self.skips_none:
            return HANDLED
        if in_place and value is not None and type(value) is not Message and not awaitable(value):
            message.payload = value
            message.meta = None
            cell.pass_on(message)
        else:
            cell.pass_on(cell.as_message(value, message))
        return HANDLED


@cython.final
cdef class Filter(Operator):
    """Sends on the messages whose payloads the function finds true."""

    cdef int apply(self, Handler cell, Message message, bint in_place) except -1:
        if self.result(cell, message.payload):
            cell.pass_on(message)
        return HANDLED

    cdef object result(self, Handler cell, object payload):
        found = self.function(payload)
        if found is not True and found is not False and found is not None:
            refuse_result(found, cell.path, self.function)
        return found


@cython.final
cdef class FlatMap(Operator):
    """Sends each value of what the function makes of a payload."""

    cdef int apply(self, Handler cell, Message message, bint in_place) except -1:
        cdef int sent = 0
        cdef Suspended rest
        values = self.result(cell, message.payload)
        for value in values:
            cell.pass_on(cell.as_message(value, message))
            sent += 1
            if cell.outbox > 0 or sent == VALUES_IN_A_ROW or peek(cell.state.poke) != 0:
                rest = cell.suspend(rest_of(values), message, cell.inlet_port, cell.inlet_level, "on_message", None)
                rest.has_deferred = cell.outbox > 0
                cell.show_held()
                return SUSPENDED
        return HANDLED

    cdef object result(self, Handler cell, object payload):
        values = self.function(payload)
        if awaitable(values) or PyAsyncGen_CheckExact(values):      # some awaitables can be iterated over
            refuse_result(values, cell.path, self.function)
        return iter(values)


def ends_here(NodeBase node, str port, Message message):
    """A message that is no DATA has reached a node that sends nothing on, from on_message of that node."""
    if message.kind == KIND_ERROR:
        node.cell.say_unseen(message, port)


def rest_of(values):
    """What an iterator has left, as a generator: what is thrown into it ends it."""
    yield from values


@cython.final
cdef class Sink(Operator):
    """Calls the function, and sends nothing."""

    cdef int apply(self, Handler cell, Message message, bint in_place) except -1:
        self.result(cell, message.payload)
        return HANDLED

    cdef object result(self, Handler cell, object payload):
        done = self.function(payload)
        if done is not None:
            refuse_result(done, cell.path, self.function)


@cython.final
cdef class Batch(Operator):
    """Sends lists of payloads: full ones, or what there is when the first of them has waited for the timeout."""

    def __init__(self, size, timeout_ns):
        Operator.__init__(self, None)
        self.size = size
        self.timeout_ns = timeout_ns
        self.collected = []

    def around(self, wrap):
        return self         # it has no function of the user's

    cdef int apply(self, Handler cell, Message message, bint in_place) except -1:
        cdef Message batch
        cdef list full = self.collect(cell, message.payload)
        if full is not None:
            batch = cell.as_message(full, message)
            try:
                cell.pass_on(batch)
            except Exception as error:
                raise Unsent(error, batch) from None
        return HANDLED

    cdef list collect(self, Handler cell, object payload):
        """Add a payload; the batch, if it is full now."""
        self.collected.append(payload)
        if len(self.collected) >= self.size:
            return self.take()
        if self.timeout_ns > 0 and len(self.collected) == 1:
            self.began_ns = cell.dispatch.clock.now_ns()
            if not self.timed:      # else that tick finds out when this batch began
                self.timed = True
                cell.dispatch.tick_in(cell.state, self.timeout_ns)
        return None

    def add(self, NodeBase node, payload):
        """The same, for on_message of its node."""
        return self.collect(node.cell, payload)

    def due(self, NodeBase node):
        """On a tick: the batch if it is due, else None; then another tick comes when it is."""
        cdef int64_t left = self.began_ns + self.timeout_ns - node.cell.dispatch.clock.now_ns()
        self.timed = False
        if not self.collected:
            return None
        if left > 0:
            self.timed = True
            node.cell.dispatch.tick_in(node.cell.state, left)
            return None
        return self.take()

    def take(self):
        """What has been collected; empty from here on."""
        cdef list taken = self.collected
        self.collected = []
        return taken

    def count(self):
        """How many payloads have been collected."""
        return len(self.collected)

    def put_back(self, taken):
        """What take() gave could not be sent: it is here still."""
        self.collected = taken

    def reset(self):
        """Before a run: forget the one before."""
        self.collected = []
        self.timed = False
