# A child that was forked while a graph ran: what its edges answer, and how it ends where it was forked inside a hook.
#
# The parent's threads are not there in the child, and what they held of locks is held for ever. So nothing of a run
# goes on in it: engine/orphan.pyx takes the run apart as the child begins, and from then on every edge of it refuses.
# An edge says so by a bit (FORKED) that stands beside CLOSED, which takes every put off the fast path anyway, and
# REFUSED, which does so for every take: so nobody pays for the question who has not been closed.
#
# A hook that forks goes on in the child, on the child's only thread, with the worker's frames below it. It is the
# child's own until it would hand back to the run: at its return, the first value that it yields, or its first await.
# There the child ends, as a program does that has come to its end: exit handlers run, sys.exit() has its code, another
# exception is printed. The turn of the worker unwinds to that place without a call of the user's: its nodes are over
# (emit refuses), there is something above every message (poke), and nothing is ready for ever (engine/orphan.pyx).
#
# `stranded` is written once, while the child has one thread.

import os

from libc.stdint cimport int64_t

from graphflow.core.edges.contents cimport EdgeContents
from graphflow.core.sync.thread_state cimport here

from graphflow.base.errors import EdgeClosed, SchedulerStateError

cdef extern from "Python.h":
    void Py_Exit(int code)
    void PyErr_SetObject(object kind, object value)
    void PyErr_PrintEx(int keep)

cdef int64_t stranded = 0       # token of the run inside whose thread this process was forked, 0 for none


cdef object forked_error(EdgeContents edge):
    """What every call of an edge raises that is part of a run of the parent process."""
    return SchedulerStateError(
        f"{edge.id} belongs to a run of the process that this one ({os.getpid()}) was forked from; make a new "
        f"Scheduler with new nodes here"
    )


cdef object closed_error(EdgeContents edge, str why):
    """Why an edge answered that it is closed."""
    return forked_error(edge) if edge.special & FORKED else EdgeClosed(f"{edge.id} is closed{why}")


cdef void strand(int64_t token) noexcept:
    """The process was forked on a thread of that run: it ends where that thread would go on with the run."""
    global stranded
    stranded = token


cdef bint is_stranded() noexcept:
    """Is this the thread inside whose hook the process was forked, in the child?"""
    return stranded != 0 and here().scheduler == stranded


cdef int leave_if_stranded(object error) except -1:
    """In a child that was forked inside a hook, where the hook has handed back: end the process. `error` is what the
    hook raised, or None."""
    if is_stranded():
        leave_process(error)
    return 0


def leave_process(error=None):
    """End this process as a program ends: by the code of a SystemExit, with 1 after any other error, else with 0."""
    if error is not None:
        PyErr_SetObject(type(error), error)
        PyErr_PrintEx(0)        # does not return from a SystemExit
        Py_Exit(1)
    Py_Exit(0)
