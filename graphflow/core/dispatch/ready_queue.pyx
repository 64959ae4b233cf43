# Which node is next: four levels of first-in first-out lists, the lane above three bands that share by weight.
#
# A node stands in one list at most (node.level says which). The bands take turns by weighted round robin with credits:
# each round gives every band its ratio of turns, the highest band with credit goes first, a band with nothing ready
# passes its turns on. The lane goes before all of them, but after LANE_RUN of its messages in a row one banded turn is
# given. A turn that was picked in the lane gives way to the bands after its control messages, and the node, whose
# ticket is still good, comes back to the place that it had there: control costs a node no turn and gains it none.
# Everything here is guarded by the dispatcher's lock.

from graphflow.core.dispatch.state cimport BANDS, LANE_LEVEL, LANE_RUN, Crew, NodeList, NodeState
from graphflow.core.sync.lock cimport poke


cdef void ready_push(Crew* crew, NodeState* node, int level, bint front) noexcept nogil:
    """Queue a node that is not queued: at the front if its turn was cut, else at the end, or in a band before those
    that came after it."""
    cdef NodeList* line = &crew.levels[level]
    node.level = level
    node.previous = <NodeState*>NULL if front else line.last
    while level != LANE_LEVEL and node.previous != NULL and node.previous.ticket > node.ticket:
        node.previous = node.previous.previous
    node.next = line.first if node.previous == NULL else node.previous.next
    if node.previous != NULL:
        node.previous.next = node
    else:
        line.first = node
    if node.next != NULL:
        node.next.previous = node
    else:
        line.last = node
    crew.count += 1
    poke(crew.urgent, urgent_level(crew))


cdef void ready_remove(Crew* crew, NodeState* node) noexcept nogil:
    cdef NodeList* line = &crew.levels[node.level]
    if node.previous != NULL:
        node.previous.next = node.next
    else:
        line.first = node.next
    if node.next != NULL:
        node.next.previous = node.previous
    else:
        line.last = node.previous
    node.level = -1
    crew.count -= 1
    poke(crew.urgent, urgent_level(crew))


cdef NodeState* ready_pick(Crew* crew) noexcept nogil:
    """Take the next node off its list, and its band's turn off the band's credit; NULL if none is ready."""
    cdef NodeState* node
    cdef int level = next_level(crew)
    cdef int band
    if level < 0:
        return NULL
    node = crew.levels[level].first
    node.turn_level = level
    if level != LANE_LEVEL:
        if crew.credit[level] == 0:
            for band in range(BANDS):
                crew.credit[band] = crew.ratio[band]
        crew.credit[level] -= 1
        crew.lane_run = 0
        node.ticket = 0
    ready_remove(crew, node)
    return node


cdef int next_level(Crew* crew) noexcept nogil:
    """The level whose first node is next, -1 for none. Changes nothing."""
    cdef int band
    cdef int fallback = -1
    if crew.levels[LANE_LEVEL].first != NULL and crew.lane_run < LANE_RUN:
        return LANE_LEVEL
    for band in range(BANDS - 1, -1, -1):
        if crew.levels[band].first != NULL:
            if crew.credit[band] > 0:
                return band
            if fallback < 0:
                fallback = band     # the highest ready band opens the next round
    if fallback < 0 and crew.levels[LANE_LEVEL].first != NULL:
        return LANE_LEVEL
    return fallback


cdef int urgent_level(Crew* crew) noexcept nogil:
    """The level that may cut a turn of a lower one: the lane, or the highest ready band that has credit; -1 for
    none."""
    cdef int level = next_level(crew)
    return level if level == LANE_LEVEL or (level >= 0 and crew.credit[level] > 0) else -1
