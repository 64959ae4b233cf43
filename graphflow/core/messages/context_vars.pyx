# The context variables that hooks see (contextvars, and with them the decimal contexts), and how a message carries
# those of its putter along.
#
# Each node has a contextvars.Context of its own, made empty for each run. A worker enters it once a turn (Cell.turn),
# so what one hook of a node sets the next one sees, whichever worker runs it, and nobody else does. A Context can be
# entered by one thread at a time, which is what the dispatcher promises of such a node (D1); the lock of the
# dispatcher lies between one worker's leaving and the next one's entering. Where several calls may be under way
# (`shared`: max_concurrency, or the event loop) nobody enters the node's own: each turn and each call has a copy of
# it, and it is replaced, never changed, by the hooks that run alone (on_start, on_drain).
#
# What a generator does between two of its values happens where the handler was: in the node's context, or in the copy
# that the Suspended keeps. A coroutine is a task, which copies the context in which it is made.
#
# A message carries a context in its headers (`Headers.carried`), where an edge asks for it (CARRIES): an exposed input
# or a node with carry_context. It is the putter's: of the thread or task that puts, or of the hook that emits; but
# what a handler emits on its node's behalf alone goes on with the context that its message had brought, so a context
# is not lost at a node in between that does not ask for it. MARK tells a hook that runs in a carried context from one
# that does not. A carried context is never entered, each call enters a copy: the same message may be with several
# nodes at once.
#
# The references are counted, and dropped with the run (Cell.release): a variable may hold what holds the node.

from cpython.contextvars cimport (
    PyContext_Copy,
    PyContext_CopyCurrent,
    PyContext_Enter,
    PyContextVar_Get_with_default,
    PyContextVar_New_with_default,
    PyContextVar_Set,
)
from cpython.object cimport PyObject
from cpython.ref cimport Py_XDECREF

from graphflow.core.messages.headers cimport headers_carrying
from graphflow.core.messages.message cimport KIND_DATA, Message, headers_of, make_message
from graphflow.core.sync.mutants cimport planted
from graphflow.core.sync.thread_state cimport here

cdef object MARK = PyContextVar_New_with_default("graphflow.carried", None)


cdef object enter_carried(Message message):
    cdef object context
    if message._headers is None or message._headers.carried is None:
        return None
    context = PyContext_Copy(message._headers.carried)
    PyContext_Enter(context)
    PyContextVar_Set(MARK, True)
    return context


cdef Message carry(object item):
    cdef Message message = <Message>item if type(item) is Message else make_message(KIND_DATA, item)
    if message._headers is not None and message._headers.carried is not None and here().turn != NULL:
        if not in_carried() and not planted("context lost between"):
            return message
    made = message.with_payload(message.payload)
    (<Message>made)._headers = headers_carrying(headers_of(message), PyContext_CopyCurrent())
    return <Message>made


cdef bint in_carried() except -1:
    """Does this code run in a context that a message has brought?"""
    cdef PyObject* mark = NULL
    PyContextVar_Get_with_default(MARK, None, &mark)
    Py_XDECREF(mark)
    return mark != <PyObject*>None
