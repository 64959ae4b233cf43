# Says what edges lose, a little of it. See losses.pyx.
from libc.stdint cimport int64_t

from graphflow.core.edges.contents cimport EdgeContents

cdef enum:
    ALL_UP_TO = 64          # losses of an edge of which each is considered; then one in as many

cdef enum Loss:
    LOST_DROPPED
    LOST_CLOSED
    LOST_ERROR
    LOST_REPLACED
    LOST_EXPIRED

cdef int say_loss(EdgeContents edge, Loss loss) except -1

cdef inline int lost(EdgeContents edge, Loss loss, int64_t count) except -1:
    """With no lock held: an edge has lost an item, `count` of that kind so far. Costs a comparison or two, as long as
    nobody wants to hear of it."""
    if count <= ALL_UP_TO or count & (ALL_UP_TO - 1) == 0:
        return say_loss(edge, loss)
    return 0
