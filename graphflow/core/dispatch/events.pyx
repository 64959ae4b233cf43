# What a run is told: by its edges, by the worker inside a node, and from outside. Each method is one critical section,
# which notes the news and looks again at what may be ready.
#
# Races thought of: an item arrives while its node is running (the inlet is listed and `pending` set: the worker sees it
# before it leaves, or end_turn queues the node again); room comes while the node that wants it is still in the turn
# that found the edge full (HAS_ROOM stays pending); an input closes just after a put that is not yet told of (the
# putter's store happened before the close, so check() sees the depth).

from libc.stdint cimport int64_t

from graphflow.core.dispatch.in_flight cimport Calls
from graphflow.core.dispatch.state cimport (
    CONTROL_OUTBOX,
    ENDED,
    HAS_HELD,
    HAS_HOOK,
    HAS_ROOM,
    HAS_SOURCE,
    OUTBOX,
    PAUSED,
    PRODUCING,
    RUNNING,
    STOPPED,
    STOP_HOOK,
    InletList,
    InletState,
    NodeState,
)
from graphflow.core.sync.lock cimport acquire, poke
from graphflow.core.sync.mutants cimport planted


cdef class Notices(Calls):
    """What a run is told; each method is one critical section."""

    # ======================================================================================== by the edges

    cdef void arrived(self, InletState* inlet, bint control) noexcept:
        """An edge that its node had seen empty is not any more."""
        acquire(self.mu)
        if self.phase != ENDED:         # else the node's other inlets may be gone
            self.list_inlet(inlet, control)
            self.refresh(inlet.node)
        self.unlock()

    cdef void room(self, NodeState* node) noexcept:
        """An edge that the node had seen full has room."""
        acquire(self.mu)
        poke(node.pending, node.pending | HAS_ROOM)
        self.refresh(node)
        self.check_groups()
        self.unlock()

    cdef void outlet_closed(self, NodeState* node, bint* known) noexcept:
        """An edge that leaves the node is closed: what waits for it may go, and if it was the last one open, the node
        may have to end. `known` says of the edge that this was told."""
        acquire(self.mu)
        if not known[0]:
            known[0] = True
            poke(node.outlets_open, node.outlets_open - 1)
            if node.lingering > 0:
                self.linger_bell.ring_all()
        poke(node.pending, node.pending | HAS_ROOM)
        poke(node.poke, 1)      # who is inside looks up: what it still handles may be for nobody
        self.refresh(node)
        self.check_groups()
        self.unlock()

    cdef void open_input(self, InletState* inlet) noexcept:
        """Before the run begins: an exposed input keeps the graph alive until it is closed."""
        acquire(self.mu)
        inlet.open = True
        self.open_inputs += 1
        inlet.node.group.open_inputs += 1
        self.unlock()

    cdef void input_closed(self, InletState* inlet) noexcept:
        """An edge into the node was closed: of an exposed input nothing more will come."""
        acquire(self.mu)
        if inlet.external and inlet.open:
            inlet.open = False
            self.open_inputs -= 1
            inlet.node.group.open_inputs -= 1
            self.check_later(inlet.node.group)
            self.check_groups()
        self.unlock()

    cdef void expect_room(self, NodeState* node, int64_t after_ns) noexcept:
        """The full edge that the node waits for may lose items to their time to live in `after_ns`."""
        cdef int64_t due = self.clock.now_ns() + after_ns
        acquire(self.mu)
        if node.room.place < 0 or due < node.room.due_ns:
            self.timers.arm(&node.room, due)
            self.wake_keeper(due)
        self.unlock()

    cdef void tick_in(self, NodeState* node, int64_t after_ns) noexcept:
        """A node that has no ticks of its own asks for one; there are none any more once the graph drains."""
        cdef int64_t due = self.clock.now_ns() + after_ns
        acquire(self.mu)
        if self.phase == RUNNING and not node.masks & STOPPED:
            self.timers.arm(&node.tick, due)
            self.wake_keeper(due)
        self.unlock()

    # ====================================================================================== by the worker inside a node

    cdef void inlet_left(self, InletState* inlet, bint control) noexcept:
        """The worker stopped taking from an edge that it has not seen empty (D2)."""
        acquire(self.mu)
        self.list_inlet(inlet, control)
        self.noted(inlet.node)
        self.unlock()

    cdef void set_outbox(self, NodeState* node, bint data, bint control, int level) noexcept:
        """Whether the node's outbox now holds data and control, and the highest band among them."""
        cdef int masks
        acquire(self.mu)
        masks = node.masks & ~(OUTBOX | CONTROL_OUTBOX)
        if data:
            masks |= OUTBOX
        if control:
            masks |= CONTROL_OUTBOX
        poke(node.masks, masks)
        node.room_level = level
        self.refresh(node)
        self.unlock()

    cdef void source_ended(self, NodeState* node) noexcept:
        acquire(self.mu)
        poke(node.pending, node.pending & ~HAS_SOURCE)
        self.refresh(node)
        self.check_groups()
        self.unlock()

    cdef void set_producing(self, NodeState* node, bint producing) noexcept:
        """Whether an async source is at its next value; else it may be asked for one."""
        acquire(self.mu)
        poke(node.masks, (node.masks | PRODUCING) if producing else (node.masks & ~PRODUCING))
        self.refresh(node)
        self.unlock()

    cdef void set_held(self, NodeState* node, bint held, bint control_held, int masks, int level) noexcept:
        """Whether handlers of the node are suspended; what keeps the next of them from going on, and its level."""
        acquire(self.mu)
        poke(node.pending, (node.pending | HAS_HELD) if held else (node.pending & ~HAS_HELD))
        node.control_held = control_held
        node.held_masks = masks
        node.held_level = level
        if not held and node.book.streams != NULL:
            self.show_streams(node)
        self.noted(node)
        self.unlock()

    cdef void noted(self, NodeState* node) noexcept nogil:
        """Under the lock: a worker inside changed what the node could do, which others may enter for."""
        if node.limit > 1:
            self.refresh(node)

    # ======================================================================================== from outside

    cdef void stop_node(self, NodeState* node) noexcept:
        """The node is stopped by its error policy, from its own turn: it gets its on_stop and empties its outbox."""
        acquire(self.mu)
        poke(node.masks, node.masks | STOPPED)
        poke(node.pending, node.pending & (HAS_ROOM | HAS_HOOK))
        self.timers.disarm(&node.tick)
        self.timers.disarm(&node.retry)
        self.retire(node)
        node.drains = False
        if node.started and not node.stopped:
            self.grant_hook(node, STOP_HOOK)
        node.stopped = True
        if node.lingering > 0:
            self.linger_bell.ring_all()
        self.unlock()

    cdef void set_paused(self, NodeState* node, bint paused) noexcept:
        acquire(self.mu)
        if self.phase <= RUNNING:
            poke(node.masks, (node.masks | PAUSED) if paused else (node.masks & ~PAUSED))
            poke(node.poke, 1)
            if paused or not planted("unheard resume"):
                self.refresh(node)
        self.unlock()

    cdef void set_outlet_band(self, NodeState* node, int band) noexcept:
        """An edge that the node may have deferred items for is now in this band."""
        acquire(self.mu)
        node.room_level = max(node.room_level, band)
        self.refresh(node)
        self.unlock()

    cdef void set_band(self, InletState* inlet, int band) noexcept:
        """Move an edge to another band; a waiting node moves at once."""
        cdef InletState* other
        cdef InletState* before = NULL
        cdef InletList* line
        acquire(self.mu)
        if inlet.queued and inlet.band != band:
            line = &inlet.node.data[inlet.band]
            other = line.first
            while other != inlet:
                before = other
                other = other.next
            if before == NULL:
                line.first = inlet.next
            else:
                before.next = inlet.next
            if line.last == inlet and not planted("broken line"):
                line.last = before
            inlet.queued = False
            inlet.band = band
            self.list_inlet(inlet, False)
            self.refresh(inlet.node)
        inlet.band = band
        self.unlock()
