# A run in a simulation: the same dispatcher, nodes and edges as any other, with waits that are a baton's
# (interleaver.pyx), and what must hold of them wherever threads could interleave.
#
# The rules look at every edge and node without their locks: only the holder of the baton runs, and nobody who does not
# hold it is inside a section (a thread that is no actor would be, which simulations do without).

from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.stdint cimport int64_t

from graphflow.core.cells.call cimport Call
from graphflow.core.cells.cell cimport Cell
from graphflow.core.cells.handling cimport Inlet
from graphflow.core.cells.in_flight cimport StagedCell
from graphflow.core.cells.outbox cimport Outlet
from graphflow.core.dispatch.phases cimport WAIT, Errand
from graphflow.core.dispatch.state cimport (
    BANDS,
    ENDED,
    HAS_CONTROL,
    HAS_ROOM,
    HAS_TICK,
    LANE_RUN,
    RUNNING,
    STOPPED,
    STOPPING,
    Crew,
    InletState,
    NodeState,
    Stint,
)
from graphflow.core.dispatch.timers cimport NEVER
from graphflow.core.edges.contents cimport CLOSED
from graphflow.core.edges.edge cimport Edge
from graphflow.core.edges.policy cimport POLICY_CUSTOM
from graphflow.core.edges.slot cimport Entry
from graphflow.core.engine.engine cimport Engine
from graphflow.core.simulation.interleaver cimport Actor, Baton, Rules, give_way
from graphflow.core.sync.lock cimport Bell, acquire
from graphflow.core.sync.thread_state cimport here

from graphflow.core.simulation.interleaver import Abandoned

cdef enum:
    # Messages that may begin when a tick is due: it can come between the choice and the taking. (For control: and for
    # each other worker that may be inside as well.)
    OVERTAKEN_AT_MOST = 2


cdef class SimulatedEngine(Engine):
    """One run of a graph in a simulation. `hooks(path, node, index)` gives what has the node's hooks there."""

    def __init__(self, plan, config, token, name, Baton baton, new_random, hooks):
        self.baton = baton
        self.hooks = hooks
        self.stops = []
        self.most_at_once = config.max_batch_per_node
        self.overtaken = [0] * len(plan.nodes)
        self.control_overtaken = [0] * len(plan.nodes)
        Engine.__init__(self, plan, config, token, name, baton.clock, new_random)
        self.depths = [0] * len(self.links)

    cdef object hooks_of(self, str path, object node, int index):
        return self.hooks(path, node, index)

    def attach(self):
        """Join the edges to this run; from here on other actors come in between."""
        cdef RunRules rules = RunRules(self)
        self.dispatch.mu.before = give_way
        for link in self.links:
            (<Edge>link.edge).mu.before = give_way
        Engine.attach(self)
        self.baton.rules = rules

    def conclude(self):
        """After the run: the edges are ordinary ones again."""
        left = Engine.conclude(self)
        self.baton.rules = Rules()
        for link in self.links:
            (<Edge>link.edge).mu.before = NULL
        return left

    def request_stop(self, drain, timeout_s):
        """As Engine's; who asked for what is kept."""
        self.stops.append((drain, timeout_s))
        Engine.request_stop(self, drain, timeout_s)

    def end_now(self):
        """Whatever the run is at: it is over."""
        acquire(self.dispatch.mu)
        if self.dispatch.phase != ENDED:
            self.dispatch.timed_out = True
            self.dispatch.finish()
        self.dispatch.unlock()

    # ======================================================================================== waiting

    cdef bint sleep(self, Crew* crew, Stint* me) except -1:
        cdef bint alive
        acquire(self.dispatch.mu)
        if self.dispatch.lies_down(crew, me):
            while not self.dispatch.may_rise(crew):
                self.listen(crew.bell, NEVER)
            self.dispatch.rise(crew)
        alive = self.dispatch.phase != ENDED
        self.dispatch.batch = 1 + self.baton.below(self.most_at_once)
        self.dispatch.unlock()
        return alive

    def linger(self, Cell cell, int64_t until_ns):
        """A hook of the node rests until that time, and others go on; False: the node is to end."""
        cdef bint ending
        acquire(self.dispatch.mu)
        cell.state.lingering += 1
        while self.baton.clock.time_ns < until_ns and not self.baton.abandoned:
            if self.dispatch.is_ending(cell.state):
                break
            self.listen(&self.dispatch.linger_bell, until_ns)
        cell.state.lingering -= 1
        ending = self.dispatch.is_ending(cell.state)
        self.dispatch.unlock()
        if self.baton.abandoned:
            raise Abandoned
        return not ending

    cdef Errand await_errand(self) except *:
        cdef Errand errand
        acquire(self.dispatch.mu)
        errand = self.dispatch.next_errand()
        while errand == WAIT:
            self.listen(&self.dispatch.keeper_bell, self.dispatch.keeper_until_ns)
            errand = self.dispatch.next_errand()
        self.dispatch.unlock()
        return errand

    cdef int listen(self, Bell* bell, int64_t until_ns) except -1:
        """What Bell.wait does for threads: let the dispatcher's lock go, wait, take it again."""
        bell.listen()
        self.dispatch.unlock()
        (<Actor>here().actor).await_bell(bell, until_ns)
        self.dispatch.mu.lock()     # it is free: nobody else runs
        bell.leave()
        return 0

    # ======================================================================================== what goes first

    def message_begins(self, int index, bint data):
        """A node begins a message: if it is data, a tick that is due is overtaken, and control that waits."""
        cdef NodeState* state = &self.dispatch.nodes[index]
        cdef int ready = state.pending & self.dispatch.allowed(state) if data else 0
        self.goes_before(
            self.overtaken, index, ready & HAS_TICK and state.limit == 1, OVERTAKEN_AT_MOST, "a tick is due"
        )
        if state.lane_run >= LANE_RUN or state.crew.lane_run >= LANE_RUN:
            ready = 0       # a long run of control: data is owed a turn
        self.goes_before(
            self.control_overtaken, index, ready & HAS_CONTROL, OVERTAKEN_AT_MOST + state.limit - 1, "control waits"
        )

    cdef int goes_before(self, list counts, int index, bint waits, int at_most, str what) except -1:
        """A message of a node begins; does something wait there that goes before data?"""
        counts[index] = counts[index] + 1 if waits else 0
        if counts[index] > at_most:
            self.baton.fail(
                f"node {(<Cell>self.cells[index]).path}: {what}, and {counts[index]} data messages came before it"
            )
        return 0


cdef class RunRules(Rules):
    """What must hold in a run."""

    def __cinit__(self, SimulatedEngine engine):
        self.engine = engine
        self.seen = <Seen*>PyMem_Calloc(max(engine.dispatch.node_count, 1), sizeof(Seen))
        self.rounds = <Round*>PyMem_Calloc(max(engine.dispatch.crew_count, 1), sizeof(Round))
        if self.seen == NULL or self.rounds == NULL:
            raise MemoryError

    def __dealloc__(self):
        PyMem_Free(self.seen)
        PyMem_Free(self.rounds)

    cdef str broken(self):
        cdef Edge edge
        cdef NodeState* state
        cdef Py_ssize_t depth
        cdef int index
        for index in range(self.engine.dispatch.node_count):
            state = &self.engine.dispatch.nodes[index]
            if state.running > state.limit:
                return f"node {self.path(index)}: {state.running} workers are inside, {state.limit} may be"
            if self.too_many_open(state):
                return f"node {self.path(index)}: of {state.book.open} calls {state.book.waiting} back off, too many"
        for index, link in enumerate(self.engine.links):
            edge = link.edge
            depth = edge.data.count
            if depth > edge.limit and depth > <Py_ssize_t>self.engine.depths[index]:
                return f"edge {edge.id} holds {depth} items, its capacity is {edge.limit}"
            self.engine.depths[index] = depth
            if edge.byte_limit > 0 and edge.bytes > edge.byte_limit:
                return f"edge {edge.id} holds {edge.bytes} bytes, its bound is {edge.byte_limit}"
            if edge.lane.count > edge.lane_limit:
                return f"edge {edge.id} holds {edge.lane.count} control messages, its bound is {edge.lane_limit}"
            if not self.counts(edge):
                return f"edge {edge.id} has lost count: {edge.counts}"
        for cell in self.engine.cells:
            if self.overflows(<Cell>cell):
                return (
                    f"node {(<Cell>cell).path} keeps {(<Cell>cell).outbox + (<Cell>cell).control_outbox} messages in "
                    f"its outbox and {(<Cell>cell).kept} in calls, its bound is {(<Cell>cell).outbox_limit}"
                )
        return self.unpaid()

    cdef bint too_many_open(self, NodeState* state) noexcept:
        """Is there a call that others let pass, but no place for it (C6)?"""
        if self.engine.dispatch.phase >= STOPPING or state.book.window > 0:
            return False
        return state.book.open - min(state.book.waiting, state.book.spare) > state.limit

    cdef bint overflows(self, Cell cell) noexcept:
        """Does a node keep more than its limit and what may come on top: a message and one of control for each edge
        that others fill under way, and dead letters (cells/outbox.pyx)?"""
        cdef Py_ssize_t more = 2
        if cell.sends_letters:
            more += 2 * cell.state.limit + 1
        more *= len(cell.outlets)
        return cell.outbox + cell.control_outbox + cell.kept > cell.outbox_limit + more

    cdef str unpaid(self):
        """Has a band fewer turns left in this round than its share and what it has begun leave it? The rest of a turn
        that was cut is no turn of its own. One section has gone by since the last look: one turn at most has begun."""
        cdef Crew* crew
        cdef NodeState* state
        cdef Round* last
        cdef int index
        cdef int level
        for index in range(self.engine.dispatch.crew_count):
            crew = &self.engine.dispatch.crews[index]
            last = &self.rounds[index]
            for level in range(BANDS):
                if crew.turns[level] != last.turns[level]:
                    self.count_turn(index, level)
                if last.begun[level] + crew.credit[level] < crew.ratio[level]:
                    return (
                        f"band {level} has begun {last.begun[level]} turns of its {crew.ratio[level]} of this round, "
                        f"and {crew.credit[level]} are left to it"
                    )
                last.turns[level] = crew.turns[level]
                last.credit[level] = crew.credit[level]
        for index in range(self.engine.dispatch.node_count):
            state = &self.engine.dispatch.nodes[index]
            if state.running == 0 and state.batch_left > 0 and self.seen[index].batch_left == 0:
                self.seen[index].of_this_round = True
            self.seen[index].turns = state.turns
            self.seen[index].batch_left = state.batch_left if state.running == 0 else 0
            self.seen[index].turn_level = state.turn_level
        return None

    cdef int count_turn(self, int crew_index, int level) except -1:
        """A turn of a band has begun, or goes on."""
        cdef Crew* crew = &self.engine.dispatch.crews[crew_index]
        cdef Round* last = &self.rounds[crew_index]
        cdef NodeState* state
        cdef int index
        cdef int band
        if last.credit[level] == 0:         # a round begins with it
            for band in range(BANDS):
                last.begun[band] = 0
            for index in range(self.engine.dispatch.node_count):
                if self.engine.dispatch.nodes[index].crew == crew:
                    self.seen[index].of_this_round = False
        for index in range(self.engine.dispatch.node_count):
            state = &self.engine.dispatch.nodes[index]
            if state.crew == crew and state.turns != self.seen[index].turns:
                if not (
                    self.seen[index].batch_left > 0 and self.seen[index].of_this_round
                    and self.seen[index].turn_level == level
                ):
                    last.begun[level] += 1
        return 0

    cdef bint counts(self, Edge edge) noexcept:
        return edge.counts.offered == (
            edge.counts.delivered + edge.counts.dropped + edge.counts.replaced + edge.counts.coalesced
            + edge.counts.expired + edge.counts.undelivered + edge.data.count + edge.lane.count
        )

    cdef str broken_at_rest(self):
        """Everybody waits: nothing that could be done may have been forgotten."""
        cdef str wrong
        cdef Crew* crew
        cdef NodeState* state
        cdef int index
        cdef int64_t due
        if self.engine.dispatch.phase == ENDED:
            return None
        for index in range(self.engine.dispatch.node_count):
            wrong = self.unqueued(&self.engine.dispatch.nodes[index]) or self.miscounted(<Cell>self.engine.cells[index])
            if wrong is not None:
                return wrong
        for index in range(self.engine.dispatch.crew_count):
            crew = &self.engine.dispatch.crews[index]
            if crew.count > 0 and crew.idle > 0:
                return f"{crew.count} nodes are ready, and {crew.idle} workers sleep: a wake-up was lost"
        due = self.engine.dispatch.keeper_due(self.engine.baton.clock.time_ns)
        if self.engine.dispatch.keeper_bell.listeners > 0 and due < self.engine.dispatch.keeper_until_ns:
            return "a timer is due before the keeper wakes: its wake-up was lost"
        for index in range(self.engine.dispatch.node_count):
            state = &self.engine.dispatch.nodes[index]
            if state.lingering > 0 and self.engine.dispatch.is_ending(state):
                return f"node {self.path(index)} rests in sleep() although it is to end: a wake-up was lost"
            if self.works_unheard(state, self.engine.cells[index]):
                return f"node {self.path(index)} has not ended, and all its outputs are closed"
        if self.engine.dispatch.phase >= STOPPING:
            return None
        for link in self.engine.links:
            wrong = self.forgotten(link.edge, link.target is not None) or self.unsent(link.edge)
            wrong = wrong or self.unweighed(link.edge)
            if wrong is not None:
                return wrong
        return None

    cdef bint works_unheard(self, NodeState* state, Cell cell) noexcept:
        """Has a node with nobody left to send to not ended, although it is to, and nothing makes it?"""
        if self.engine.dispatch.phase != RUNNING or state.running > 0 or state.masks & STOPPED:
            return False
        if state.pending & HAS_ROOM:        # it does in its next turn, which no worker has begun yet
            return False
        return cell.unheard() and (cell.ends_with_outputs or cell.source is not None)

    cdef str forgotten(self, Edge edge, bint inside):
        """Does an edge hold what nobody knows of, or room that somebody waits for?"""
        cdef Inlet inlet
        if edge.putters.first != NULL and edge.putters.first.fixed and edge.fits(edge.putters.first.size):
            return f"edge {edge.id} has room, and a putter waits for it: a wake-up was lost"
        if edge.getters.first != NULL and (edge.takeable() or edge.lane.count > 0):
            return f"edge {edge.id} holds {edge.data.count} items, and a getter waits for one: a wake-up was lost"
        if not inside:
            return None
        inlet = self.engine.inlets[edge.id]
        if inlet.state.node.running > 0 or inlet.state.node.masks & STOPPED:
            return None
        if edge.takeable() and not self.listed(&inlet.state):
            return f"edge {edge.id} holds {edge.data.count} items that its node was not told of"
        if edge.lane.count > 0 and not inlet.state.lane_queued:
            return f"edge {edge.id} holds {edge.lane.count} control messages that its node was not told of"
        return None

    cdef bint listed(self, InletState* inlet) noexcept:
        """Does the inlet stand where its node looks for data?"""
        cdef InletState* other = inlet.node.data[inlet.band].first
        while other != NULL and other != inlet:
            other = other.next
        return inlet.queued and other != NULL

    cdef str unsent(self, Edge edge):
        """Does its producer keep items that there is room for?"""
        cdef Outlet outlet = self.engine.outlets.get(edge.id)
        if outlet is None or outlet.state.running > 0 or outlet.state.pending & HAS_ROOM or edge.claim != NULL:
            return None
        if outlet.deferred_control.count > 0 and edge.lane.count < edge.lane_limit and edge.lane_putters.first == NULL:
            return f"the producer of {edge.id} keeps control that there is room for"
        if edge.byte_limit > 0 or edge.policy_kind == POLICY_CUSTOM or edge.putters.first != NULL:
            return None
        if outlet.deferred.count > 0 and (edge.data.count < edge.limit or edge.special & CLOSED):
            return f"the producer of {edge.id} keeps {outlet.deferred.count} items that there is room for"
        return None

    cdef str unqueued(self, NodeState* node):
        """Could a worker enter the node, and it waits for none (D1)?"""
        if node.level < 0 and node.running < node.limit and self.engine.dispatch.ready_bits(node, 0) != 0:
            return f"node {self.path(node.index)} has something to do and is not queued: a wake-up was lost"
        return None

    cdef str miscounted(self, Cell cell):
        """Do the counts of what a node's outbox and its open calls hold say what is there?"""
        cdef Py_ssize_t data = 0
        cdef Py_ssize_t control = 0
        cdef Py_ssize_t kept = 0
        cdef Outlet outlet
        if cell.state.running > 0:
            return None
        for outlet in cell.outlets:
            data += outlet.deferred.count
            control += outlet.deferred_control.count
        if isinstance(cell, StagedCell):
            for call in (<StagedCell>cell).open_calls:
                for outlets, _, _ in (<Call>call).kept:
                    kept += len(<tuple>outlets)
        if data == cell.outbox and control == cell.control_outbox and kept == cell.kept:
            return None
        return (
            f"node {cell.path}: its outbox holds {data} messages and {control} of control, its calls keep {kept}; "
            f"counted are {cell.outbox}, {cell.control_outbox} and {cell.kept}"
        )

    cdef str unweighed(self, Edge edge):
        """Are the bytes of an edge those of what lies there?"""
        cdef Py_ssize_t position
        cdef Py_ssize_t size = 0
        if not edge.wraps:
            return None
        for position in range(edge.data.count):
            size += (<Entry>edge.data.at(position)[0]).size
        return None if size == edge.bytes else f"edge {edge.id} holds {size} bytes and counts {edge.bytes}"

    cdef str path(self, int index):
        return (<Cell>self.engine.cells[index]).path
