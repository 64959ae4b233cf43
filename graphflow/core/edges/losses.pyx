# Logs of what edges lose: at DEBUG, and at most one record a second and edge, with the counts so far, whatever the rate
# of the losses. Most of them cost a look at a count: whether anybody listens is asked for the first of an edge, and
# then for one in ALL_UP_TO.
#
# No lock is held here. The counts are read as they are, and `loss_said_ns` is only a hint: two threads that change it
# at once do no harm. The time is noted before the record is made: a log handler that puts into the very edge comes back
# to here.

import logging

from libc.stdint cimport int64_t

from graphflow.core.edges.contents cimport EdgeContents
from graphflow.core.sync.lock cimport peek, poke

from graphflow.base.events import say

cdef int64_t PAUSE_NS = 1_000_000_000

cdef object log = logging.getLogger("graphflow.edge")
cdef int DEBUG_LEVEL = logging.DEBUG

cdef tuple EVENT_OF = ("edge_dropped", "edge_dropped", "edge_dropped", "edge_replaced", "edge_expired")
cdef tuple REASON_OF = ("full", "closed", "error", "full", "ttl")


cdef int say_loss(EdgeContents edge, Loss loss) except -1:
    cdef int64_t now
    if not log.isEnabledFor(DEBUG_LEVEL):
        return 0
    now = edge.clock.now_ns()
    if peek(edge.loss_said_ns) != 0 and now - peek(edge.loss_said_ns) < PAUSE_NS:
        return 0
    poke(edge.loss_said_ns, now)
    say(
        log, EVENT_OF[<int>loss], "%s: an item was %s (%s); so far dropped %d, replaced %d, expired %d",
        edge.id, EVENT_OF[<int>loss].removeprefix("edge_"), REASON_OF[<int>loss], edge.counts.dropped,
        edge.counts.replaced, edge.counts.expired,
        edge_id=edge.id, reason=REASON_OF[<int>loss],
    )
    return 0
