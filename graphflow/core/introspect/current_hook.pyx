# Whose hook runs on the calling thread, for logs and for whoever wants to know it from inside.

from graphflow.core.cells.call cimport Call
from graphflow.core.cells.cell cimport Cell
from graphflow.core.messages.message cimport Message
from graphflow.core.sync.thread_state cimport Context, here


def current_hook():
    """(name of the scheduler, path of the node, the Message being handled or None) where a hook of a node runs on this
    thread; else None. Makes no trace id."""
    cdef Context* context = here()
    cdef Cell cell
    cdef Message message
    if context.turn == NULL:
        return None
    cell = <Cell>context.turn
    message = (<Call>context.call).seen if context.call != NULL else cell.current
    return cell.engine.name, cell.path, message
