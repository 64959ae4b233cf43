# Says what edges lose, a little of it. See losses.pyx.
from graphflow.core.contents cimport EdgeContents

cdef enum:
    ALL_UP_TO = 64          # losses of an edge of which each is considered; then one in as many

cdef enum Loss:
    LOST_DROPPED
    LOST_CLOSED
    LOST_ERROR
    LOST_REPLACED
    LOST_EXPIRED

cdef int say_loss(EdgeContents edge, Loss loss) except -1

cdef inline int lost(EdgeContents edge, Loss loss) except -1:
    """With no lock held: an edge has lost an item. Costs a count, as long as nobody wants to hear of it."""
    edge.losses += 1
    if edge.losses <= ALL_UP_TO or edge.losses & (ALL_UP_TO - 1) == 0:
        return say_loss(edge, loss)
    return 0
