# What every node inherits from the core: emit, and the tie to its place in a run.

cimport cython
from libc.stdint cimport int64_t

from graphflow.core.cells.call cimport Call
from graphflow.core.cells.cell cimport Cell
from graphflow.core.edges.forked cimport is_stranded
from graphflow.core.sync.lock cimport peek, poke
from graphflow.core.sync.thread_state cimport Context, here

from graphflow.base import arguments
from graphflow.base.errors import SchedulerStateError

cdef object MOST_BUFFERED = 2**62


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
        cdef Context* context = here()
        cdef Cell cell
        if not is_inside(self, context):
            raise refusal(self, None)
        cell = <Cell>context.turn
        if not cell.may_emit or cell.over:
            raise refusal(self, cell)
        if context.call != NULL:
            return cell.keep(<Call>context.call, port, value)
        return cell.emit(port, value)

    def is_live(self):
        """True while the node is part of a run, and is to go on: from the moment a drain or a stop is asked for (or the
        graph begins to drain by itself) it is False. So it is for a stopped node, and for a source whose outputs are
        all closed. For any thread."""
        cdef Cell cell
        with cython.critical_section(self):     # another thread may be taking it away
            cell = self.cell
        return cell is not None and not cell.dispatch.is_ending(cell.state)

    def sleep(self, seconds):
        """Rest for so many seconds (True), or until the node is to end, which is_live() tells as well (False, at once;
        so it is in on_drain and on_stop). For sources that poll, and for handlers: `while self.sleep(1.0): ...`

        It holds the worker, and whatever waits for it: give a source that rests for long `dedicated = True`. Pausing
        the node does not cut a rest short.

        Raises SchedulerStateError outside the node's own running hook, and in a node with async hooks (there await
        asyncio.sleep(), which the end of the run cuts short in produce()); TypeError, ValueError or OverflowError for
        what is no number of seconds."""
        cdef Cell cell
        cdef double checked = arguments.seconds("seconds", seconds)
        if not is_inside(self, here()):
            raise SchedulerStateError(
                f"node {getattr(self, 'name', type(self).__name__)!r}: sleep() works only inside the node's own "
                f"running hook; a thread of your own asks is_live()"
            )
        cell = <Cell>here().turn
        if cell.state.crew.wake_fd >= 0:
            raise SchedulerStateError(
                f"node {cell.path!r}: sleep() would hold the event loop, where all its hooks run; await asyncio.sleep()"
            )
        return cell.linger(cell.dispatch.clock.now_ns() + <int64_t>(min(checked, 1e9) * 1e9))

    @property
    def buffered(self):
        """Messages that the node has taken and still holds, such as rows it has not written; 0 unless the node sets it.

        What is left when the run has ended is in the report (`held_back`), which then is not complete. It is the node's
        own: nothing but the node changes it, also between two runs.
        """
        return peek(self.holds)

    @buffered.setter
    def buffered(self, count):
        if isinstance(count, bool) or not isinstance(count, int):
            raise TypeError(f"buffered must be a number of messages, such as len(rows), not {count!r}")
        if not 0 <= count <= MOST_BUFFERED:
            raise ValueError(f"buffered must be from 0 to {MOST_BUFFERED}, not {count!r}")
        poke(self.holds, <Py_ssize_t>count)


cdef inline bint is_inside(NodeBase node, Context* context) noexcept:
    """Does a hook of the node run on this thread? Then its worker holds the cell. The node's own reference is only
    compared, not taken: the end of the run may be taking it away."""
    return context.turn != NULL and context.turn == <void*>node.cell


cdef object refusal(NodeBase node, Cell cell):
    """Why emit() is refused; `cell` is that of the node's own running hook, or None."""
    name = getattr(node, "name", type(node).__name__)
    if cell is not None and is_stranded():
        return SchedulerStateError(
            f"node {name!r}: emit() in a forked child cannot be delivered: the run is its parent's, and the child ends "
            f"when the hook returns"
        )
    if cell is not None:
        return SchedulerStateError(
            f"node {name!r}: emit() in on_stop, or after the run has ended, cannot be delivered; send last messages "
            f"from on_drain"
        )
    return SchedulerStateError(
        f"node {name!r}: emit() works only inside the node's own running hook; from other threads put into "
        f"scheduler.input(name)"
    )
