# What becomes of an exception that leaves a hook: the node's on_error, the log, the report, the error policy.
#
# No lock is held here: hooks and loggers of the user's run.

import logging
import traceback

from libc.stdint cimport int64_t

from graphflow.core.cells.outbox cimport Outlet, Sender, prepare_all
from graphflow.core.edges.forked cimport leave_if_stranded
from graphflow.core.edges.slot cimport Entry
from graphflow.core.messages.message cimport KIND_ERROR, Message, make_child, make_message
from graphflow.core.messages.unawaited cimport refuse_of_hook
from graphflow.core.metrics.recorder cimport NODE_ERROR
from graphflow.core.sync.lock cimport add

from graphflow.base.events import say, traceback_of
from graphflow.core.messages.dead_letter import DeadLetter

cdef enum:
    ERRORS_KEPT = 8             # exceptions kept of each node; all are counted
    ERRORS_LOGGED = 16          # of each node, then only powers of two

log = logging.getLogger("graphflow.node")


class Unsent(Exception):
    """An error, and the message that the node made and may not send: that is what its policy decides on, not the one
    that came in. A batch above all: its payloads are in no other message."""

    def __init__(self, error, message):
        super().__init__(error, message)


cdef class Faults(Sender):
    """What becomes of a node's errors; see the declarations for the fields."""

    cdef int fail(
        self, str hook, object error, Message message, str port, bint governed, int attempts=1
    ) except -1:
        """An exception left a hook, and there is no other attempt. `governed`: the node's error policy applies. With a
        message and no port that message never came in: it is what a source, or a tick, may not send."""
        if type(error) is Unsent:
            error, message = error.args
        if self.is_fatal(hook, error, message, port):
            add(self.failed, port is not None)
            return 0
        self.tell_on_error(error, message)
        return self.stand(hook, error, message, port, governed, attempts)

    cdef int stand(
        self, str hook, object error, Message message, str port, bint governed, int attempts
    ) except -1:
        """An error that on_error has seen stands: it is noted, and the policy decides what becomes of the message."""
        cdef bint lettered = False
        self.note_error(hook, error, message, port)
        if governed:
            lettered = self.govern(error, message, port, attempts)
        if lettered:
            add(self.dead_lettered, port is not None)
        else:
            add(self.failed, port is not None)
        return 0

    cdef bint is_fatal(self, str hook, object error, Message message, str port) except -1:
        """KeyboardInterrupt and SystemExit are nobody's to handle: they stop the graph and leave run(). (A child that
        was forked inside the hook ends here by whatever left it.)"""
        leave_if_stranded(error)
        if not isinstance(error, (KeyboardInterrupt, SystemExit)):
            return False
        self.end_graph(hook, error, message, port)
        return True

    cdef int end_graph(self, str hook, object error, Message message=None, str port=None) except -1:
        """An error that no policy decides on stops the graph: the report holds it, and it leaves run()."""
        leave_if_stranded(error)
        try:
            self.note_error(hook, error, message, port)
        except Exception:
            pass                # of memory, most likely: the stop matters more
        return self.stop_graph(error)

    cdef int stop_graph(self, object error) except -1:
        """The graph stops for an error that has been noted. It is among those kept, however many came before it."""
        if self.engine.fatal(error):
            if not any([each is error for each in self.errors]):
                self.errors[-1:] = [error]
        return 0

    cdef int tell_on_error(self, object error, Message message) except -1:
        """The node sees an error first; what its on_error raises is logged."""
        if self.has_on_error:
            try:
                refuse_of_hook(self.hooks.on_error(error, message), "on_error", self.path, True)
            except BaseException as second:
                self.fail_on_error(second, message)
        return 0

    cdef int fail_on_error(self, object error, Message message) except -1:
        """on_error itself has raised: that is logged, and the error that it was told of still stands."""
        if not self.is_fatal("on_error", error, message, None):
            self.report("on_error", error, message)
        return 0

    cdef int note_error(self, str hook, object error, Message message=None, str port=None) except -1:
        """Count, log and keep an error."""
        add(self.error_count, 1)
        self.dispatch.note(NODE_ERROR, self.state, 0)
        self.report(hook, error, message, port)
        if len(self.errors) < ERRORS_KEPT:
            self.errors.append(release_frames(error))
        return 0

    cdef bint govern(self, object error, Message message, str port, int attempts) except -1:
        """Apply the error policy to an error that stands; True if the message left as a dead letter."""
        policy = self.error_policy.final
        kind = policy.kind
        if kind == "stop_graph":
            self.stop_graph(error)
        elif kind == "stop_node":
            self.say_stopped(error)
            self.stop_here()
        elif kind == "dead_letter":
            return self.dead_letter(policy.port, error, message, port, attempts)
        return False

    cdef bint dead_letter(self, str out, object error, Message message, str port, int attempts) except -1:
        """Send the message that failed from the port `out`, as an ERROR message; False if it cannot be sent. It may go
        past outbox_limit, see outbox.pyx."""
        cdef Message letter
        text = traceback_of(error)
        payload = DeadLetter(message, release_frames(error), text, self.path, port, attempts)
        letter = make_message(KIND_ERROR, payload) if message is None else make_child(payload, message)
        letter.kind = KIND_ERROR
        try:
            self.post(self.outlets_of(out), letter)
        except Exception as second:
            self.report("the dead letter of an error", second, message, port)
            return False
        return True

    cdef int post(self, tuple outlets, Message letter) except -1:
        """Send a dead letter to every edge of its port, now."""
        cdef Outlet outlet
        for outlet, held in zip(outlets, prepare_letters(outlets, letter)):
            self.deliver(outlet, held, False)
        return 0

    cdef int say_stopped(self, object error) except -1:
        say(
            log, "node_stopped", "node %s is stopped by its error policy after %s; what is queued for it is dropped",
            self.path, type(error).__name__, graph=self.engine.name, node=self.path,
        )
        return 0

    cdef int stop_here(self) except -1:
        """STOP_NODE: the node takes nothing more."""
        return 0

    cdef dict about(self, Message message, str port):
        """The fields of a log record about this node, and the message that it is at. An error is rare enough to make a
        trace id for."""
        fields = {"graph": self.engine.name, "node": self.path}
        if message is not None:
            fields["trace_id"] = message.get_trace_id()
        if port is not None:
            fields["port"] = port
        return fields

    cdef int report(self, str hook, object error, Message message=None, str port=None) except -1:
        """Log an error of the node; a flood of them is thinned out, and says so."""
        cdef int64_t count = self.error_count
        if count > ERRORS_LOGGED and count & (count - 1):
            return 0
        say(
            log, "node_error", "node %s: %s raised %s (error %d of this node)%s",
            self.path, hook, type(error).__name__, count,
            "; from here on only errors 32, 64, 128, ... are logged" if count == ERRORS_LOGGED else "",
            exc_info=error, hook=hook, errors=count, **self.about(message, port),
        )
        return 0


cdef list prepare_letters(tuple outlets, Message letter):
    """A copy of a dead letter for each edge of its port. A node from a function is handed the DeadLetter as any
    payload, so to it goes a DATA message: ERROR passes by functions, and at their ends it would be seen by nobody. It
    is checked as an ERROR message all the same: the schema of the port may be that of results."""
    cdef Outlet outlet
    cdef Py_ssize_t place
    cdef list copies = prepare_all(outlets, letter)
    for place, outlet in enumerate(outlets):
        if outlet.to_function and copies[place] is not None:
            if type(copies[place]) is Entry:
                (<Entry>copies[place]).item = make_child(letter.payload, letter)
            else:
                copies[place] = make_child(letter.payload, letter)
    return copies


cdef object release_frames(object error):
    """The error with its traceback's frames emptied: it is kept, the messages in them are not."""
    cdef int depth = 0
    chained = error
    while chained is not None and depth < 16:
        traceback.clear_frames(chained.__traceback__)
        chained = chained.__cause__ if chained.__cause__ is not None else chained.__context__
        depth += 1
    return error
