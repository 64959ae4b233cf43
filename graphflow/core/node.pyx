# What every node inherits from the core: emit, and the tie to its place in a run.

cimport cython

from graphflow.core.call cimport Call
from graphflow.core.cell cimport Cell
from graphflow.core.context cimport Context, here
from graphflow.core.forked cimport is_stranded

from graphflow.errors import SchedulerStateError


cdef class NodeBase:
    """Base of Node; use Node."""

    @cython.binding(False)
    @cython.embedsignature(True)
    @cython.embedsignature.format('clinic')
    def emit(self, port, value):
        """Send a message or a payload from an output port to every edge there; returns a PutResult.

        Never waits and never loses: what finds no room is kept in the node's outbox (DEFERRED: accepted; return now),
        up to `outbox_limit`. A payload inherits the headers of the message being handled. Over several edges the answer
        is the strongest of DEFERRED, DROPPED, REPLACED, COALESCED, OK. In a node that retries, or runs several messages
        at once, the answer is OK and the message is sent when the hook has returned.

        Raises, and then sends nothing: SchemaError, ValueError (larger than an edge's max_bytes), BackpressureError
        (the outbox is full), GraphValidationError (no such port), TypeError (None), SchedulerStateError (not from a
        running hook of this very node, or from on_stop)."""
        cdef Cell cell = self.cell
        cdef Context* context = here()
        if cell is None or context.turn != <void*>cell or not cell.may_emit or cell.over:
            raise refusal(self, cell)
        if context.call != NULL:
            return cell.keep(<Call>context.call, port, value)
        return cell.emit(port, value)

    def is_live(self):
        """True while the node is part of a run."""
        return self.cell is not None


cdef object refusal(NodeBase node, Cell cell):
    name = getattr(node, "name", type(node).__name__)
    if cell is not None and here().turn == <void*>cell and is_stranded():
        return SchedulerStateError(
            f"node {name!r}: emit() in a forked child cannot be delivered: the run is its parent's, and the child ends "
            f"when the hook returns"
        )
    if cell is not None and here().turn == <void*>cell:
        return SchedulerStateError(
            f"node {name!r}: emit() in on_stop, or after the run has ended, cannot be delivered; send last messages "
            f"from on_drain"
        )
    return SchedulerStateError(
        f"node {name!r}: emit() works only inside the node's own running hook; from other threads put into "
        f"scheduler.input(name)"
    )
