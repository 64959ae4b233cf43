# The shell around the dispatcher: has a run built from a plan (builder.pyx), runs nodes on the threads it is lent,
# sleeps, and clears up.
#
# It decides nothing. A worker takes the GIL first and a node second, so that no node waits behind a worker that waits
# for the GIL; while it has work it keeps the GIL (handlers give it up by themselves) and it gives it up to sleep.

import threading

cimport cython
from libc.stdint cimport int64_t

from graphflow.core.cells.base cimport NodeBase
from graphflow.core.cells.cell cimport Cell
from graphflow.core.cells.handling cimport Inlet
from graphflow.core.cells.outbox cimport Outlet
from graphflow.core.dispatch.phases cimport ADD_WORKER, LEAVE, LOOK, TELL, Errand
from graphflow.core.dispatch.state cimport (
    DRAINING,
    ENDED,
    RUNNING,
    STARTING,
    STOPPING,
    Crew,
    NodeState,
    Stint,
)
from graphflow.core.dispatch.timers cimport NEVER
from graphflow.core.dispatch.turns cimport Dispatch
from graphflow.core.edges.edge cimport Edge
from graphflow.core.edges.forked cimport leave_if_stranded
from graphflow.core.edges.ring cimport new_ring
from graphflow.core.engine.builder cimport complete, make_cell, make_inlet, make_outlet, set_groups, set_ratio
from graphflow.core.metrics.recorder cimport Recorder
from graphflow.core.sync.clock cimport Clock
from graphflow.core.sync.lock cimport acquire, peek
from graphflow.core.sync.thread_state cimport breathe, here

from graphflow.base.errors import GraphValidationError
from graphflow.base.fork_locks import new_lock
from graphflow.base.issues import ValidationIssue
from graphflow.core.sync.latch import Latch
from graphflow.graph.validation.node_settings import is_async

cdef dict PHASES = {
    STARTING: "starting", RUNNING: "running", DRAINING: "draining", STOPPING: "stopping", ENDED: "stopped",
}
cdef dict ERRANDS = {LEAVE: "leave", ADD_WORKER: "add worker", LOOK: "look", TELL: "tell"}

cdef enum:
    DEFAULT_SPAN_S = 5  # of the flight recorder, where there is no watchdog
    LOOKS = 4       # of the watchdog in the time after which it speaks

cdef object claims = new_lock()     # one run at a time ties its nodes


cdef Recorder new_recorder(object config, int crews):
    """A flight recorder that holds a little more than the time after which the watchdog speaks, a minute at most."""
    cdef double span_s = 1.25 * min(config.watchdog_s or DEFAULT_SPAN_S, 60.0)
    return Recorder(config.flight_recorder_bytes, config.workers + crews, <int64_t>(span_s * 1e9))


cdef class Engine:
    """One run of a graph, without the threads; see graphflow.runtime.run. `new_random` makes generators of random
    numbers."""

    def __init__(self, plan, config, token, name, Clock clock, new_random):
        self.token = token
        self.clock = clock
        self.new_random = new_random
        self.name = name
        self.metrics = config.metrics
        self.all_spans = []
        self.cells = []
        self.inlets = {}
        self.outlets = {}
        self.links = list(plan.links)
        self.opened = Latch()
        self.failure_lock = threading.Lock()
        self.stop_budget_ns = <int64_t>(config.shutdown_timeout_s * 1e9)
        self.wire(plan, config)
        if config.watchdog_s is not None:
            self.dispatch.watch_ns = <int64_t>(min(config.watchdog_s, 1e9) / LOOKS * 1e9) + 1

    # ---------------------------------------------------------------------------------------- building

    cdef int wire(self, object plan, object config) except -1:
        """Make the dispatcher, the cells and their ends of the edges (which are attached by attach())."""
        cdef Cell cell
        cdef NodeState* state
        cdef int index
        cdef list dedicated = [place for place, placed in enumerate(plan.nodes) if placed.node.dedicated]
        cdef list on_loop = [is_async(placed.node) for placed in plan.nodes]
        self.crews = 1 + len(dedicated)
        if any(on_loop):
            self.loop_crew = self.crews
            self.crews += 1
        self.dispatch = Dispatch(
            len(plan.nodes), self.crews, len(plan.groups), len(plan.links), self.clock, config.max_batch_per_node,
            new_recorder(config, self.crews),
        )
        set_ratio(self.dispatch, config.fairness_ratio)
        for index, placed in enumerate(plan.nodes):
            state = &self.dispatch.nodes[index]
            state.crew = &self.dispatch.crews[0]
            if placed.node.dedicated:
                state.crew = &self.dispatch.crews[dedicated.index(index) + 1]
            elif on_loop[index]:
                state.crew = &self.dispatch.crews[self.loop_crew]
            hooks = self.hooks_of(placed.path, placed.node, index)
            self.cells.append(make_cell(placed, state, self, hooks, config, on_loop[index]))
        for link in plan.links:
            if link.target is not None:
                self.inlets[link.edge.id] = make_inlet(link, self.cells[link.target])
            if link.source is not None:
                target = None if link.target is None else plan.nodes[link.target].node
                self.outlets[link.edge.id] = make_outlet(link, self.cells[link.source], target)
        for cell in self.cells:
            complete(cell)
        set_groups(self.dispatch, plan)
        return 0

    cdef object hooks_of(self, str path, object node, int index):
        """What has the hooks of a node: itself."""
        return node

    def claim(self):
        """Tie the nodes to this run, all or none: GraphValidationError if one is part of another."""
        cdef Cell cell
        with claims:
            taken = [cell.path for cell in self.cells if (<NodeBase>cell.node).cell is not None]
            if taken:
                raise GraphValidationError([
                    ValidationIssue("error", "DUP_NODE", f"node {path!r} runs in another scheduler; make another node")
                    for path in taken
                ])
            for cell in self.cells:
                tie(cell.node, cell)

    def disclaim(self):
        """Untie the nodes of a run that did not begin."""
        cdef Cell cell
        for cell in self.cells:
            release_cell(cell)

    def attach(self):
        """Join the edges to this run. From here on a put wakes a worker."""
        cdef Edge edge
        cdef Inlet inlet
        cdef Outlet outlet
        cdef int index
        for index in range(self.dispatch.node_count):
            acquire(self.dispatch.mu)
            self.dispatch.refresh(&self.dispatch.nodes[index])
            self.dispatch.unlock()
        for link in self.links:
            edge = link.edge
            if edge.sealed:
                if link.target is None:
                    edge.clear_out(0, False)
                edge.reopen()
            edge.measure_times(self.metrics)
            if edge.clock is not self.clock:    # a simulation's, or that of one before: it has no other threads
                edge.clock = self.clock
            inlet = self.inlets.get(edge.id)
            if inlet is not None and inlet.state.external:
                self.dispatch.open_input(&inlet.state)
            outlet = self.outlets.get(edge.id)
            edge.attach(inlet, outlet, self.token)
            if outlet is not None and edge.closed:      # if it is closed from here on, it tells by itself
                outlet.shut()
            if inlet is not None and edge.closed:       # it was closed before anybody listened
                self.dispatch.input_closed(&inlet.state)

    # ---------------------------------------------------------------------------------------- threads

    def begin(self):
        """Let the workers start the nodes."""
        if self.dispatch.drain_wanted:      # asked for before attach() opened the inputs
            self.close_inputs()
        self.dispatch.begin()
        self.announce()

    def announce(self):
        """Set `opened` if the nodes have started."""
        if not self.announced and peek(self.dispatch.phase) != STARTING:
            self.announced = True
            self.opened.set()

    def work(self, int crew_index, int worker):
        """A worker's life: run what its crew has ready, sleep when there is nothing, return when the run has ended."""
        cdef Stint me
        cdef Crew* crew = &self.dispatch.crews[crew_index]
        cdef NodeState* state
        cdef Cell cell
        cdef bint woken = False
        cdef bint alive = True
        me.worker = worker
        me.parked = False
        me.since_ns = self.dispatch.clock.now_ns()
        here().scheduler = self.token
        here().worker = worker
        try:
            while alive:
                state = self.dispatch.next_turn(crew, woken, &me)
                woken = False
                if state != NULL:
                    cell = <Cell>self.cells[state.index]
                    cell.turn(&me)
                    breathe(here(), me.since_ns)
                    self.let_go(cell)
                    if not self.announced:
                        self.announce()
                else:
                    alive = self.sleep(crew, &me)
                    me.since_ns = self.dispatch.clock.now_ns()      # with the GIL: waiting for it is no turn's time
                    woken = True
            leave_if_stranded(None)
        finally:
            here().scheduler = 0
            here().worker = -1

    cdef bint sleep(self, Crew* crew, Stint* me) except -1:
        """Let the worker sleep until there is something for it; False when the run has ended."""
        cdef bint alive
        with nogil:
            alive = self.dispatch.sleep(crew, me)
        return alive

    def linger(self, Cell cell, int64_t until_ns):
        """A hook of the node rests until that time; False: the node is to end."""
        cdef bint whole
        with nogil:
            whole = self.dispatch.linger(cell.state, until_ns)
        return whole

    def let_go(self, Cell cell):
        """Release a node that the run ended without waiting for. (A child forked inside its hook ends here.)"""
        if cell.over:
            leave_if_stranded(None)
            release_cell(cell)

    def keep(self):
        """The keeper's life: timers and deadlines. Returns "leave" when the run has ended; "add worker", "look" or
        "tell" (of new_phases) is to be done before it is called again."""
        return ERRANDS[self.await_errand()]

    cdef Errand await_errand(self) except *:
        """Do what time brings, until there is something else to do."""
        cdef Errand errand
        with nogil:
            errand = self.dispatch.keep()
        return errand

    def new_phases(self):
        """Names of the phases, "draining" and "stopping", that have begun since the last call."""
        cdef int phases = self.dispatch.take_new_phases()
        return [PHASES[phase] for phase in (DRAINING, STOPPING) if phases >> <int>phase & 1]

    def now(self):
        """Seconds on the clock of the run."""
        return self.dispatch.clock.now_ns() / 1e9

    def on_my_thread(self):
        """True on a worker thread of this scheduler."""
        return here().scheduler == self.token

    # ---------------------------------------------------------------------------------------- stopping

    def request_stop(self, bint drain, timeout_s):
        """Ask for a stop; `timeout_s` bounds it (80 % for the drain), None is no bound.

        Takes no lock of Python's: a signal handler may call this over any of our waits."""
        cdef int64_t now = self.dispatch.clock.now_ns()
        cdef int64_t drain_deadline = NEVER
        cdef int64_t deadline = NEVER
        cdef double seconds
        if timeout_s is not None:
            seconds = min(timeout_s, 1e9)
            drain_deadline = now + <int64_t>(seconds * 0.8e9)
            deadline = now + <int64_t>(seconds * 1e9)
        self.dispatch.request_stop(drain, drain_deadline, deadline)
        if drain:
            self.close_inputs()

    def close_inputs(self):
        """Close the edges of the exposed inputs."""
        cdef Edge edge
        for link in self.links:
            if link.source is None:
                edge = link.edge
                edge.shut()

    def fatal(self, error):
        """A node's error stops the graph: the first one is kept for run() and wait(). True for that one."""
        leave_if_stranded(error)
        with self.failure_lock:
            first = self.failure is None
            if first:
                self.failure = error
        self.request_stop(False, self.stop_budget_ns / 1e9)
        return first

    def conclude(self):
        """After the run: close and release everything; returns undelivered counts by edge id."""
        cdef Edge edge
        cdef Cell cell
        cdef Outlet outlet
        cdef dict left = {}
        for cell in self.cells:
            cell.over = True
        for link in self.links:
            edge = link.edge
            edge.shut()
            edge.detach()
            outlet = self.outlets.get(edge.id)
            deferred = 0
            if outlet is not None:
                deferred = outlet.waiting() + self.cells[link.source].kept_for(outlet)
            if link.target is None:
                edge.leave(deferred)
            else:
                edge.clear_out(deferred, False)
            if outlet is not None:
                outlet.deferred = new_ring(1)
                outlet.deferred_control = new_ring(1)
            count = edge.stats().undelivered
            if count:
                left[edge.id] = count
        for cell in self.cells:
            if cell.state.running == 0:     # else its worker does it, when the hook returns
                release_cell(cell)
        self.opened.set()
        return left

    # ---------------------------------------------------------------------------------------- looking in

    @property
    def status(self):
        """starting, running, draining, stopping or stopped."""
        return PHASES[peek(self.dispatch.phase)]

    @property
    def undrained(self):
        """Nodes had not run dry, and not had their on_drain, when the run stopped."""
        return self.dispatch.groups_left > 0

    @property
    def asked_to_drain(self):
        return bool(self.dispatch.drain_wanted)

    def seconds_left(self):
        """Until the deadline of the stop; where there is none, what a stop of the scheduler's has."""
        cdef int64_t left = self.stop_budget_ns
        if self.dispatch.deadline_ns != NEVER:
            left = self.dispatch.deadline_ns - self.dispatch.clock.now_ns()
        return max(left, 0) / 1e9

    @property
    def timed_out(self):
        return self.dispatch.timed_out

    def left_inside(self):
        """Paths of the nodes whose hooks had not returned when the run ended."""
        return tuple(cell.path for cell in self.cells if (<Cell>cell).state.left_inside)

    def inside(self):
        """Paths of the nodes that a worker is inside of now."""
        return tuple(cell.path for cell in self.cells if (<Cell>cell).state.running > 0)

    def counts(self):
        """Nodes that are ready, and nodes whose outbox holds something."""
        cdef int index
        cdef int runnable = 0
        cdef int blocked = 0
        acquire(self.dispatch.mu)
        for index in range(self.dispatch.node_count):
            runnable += self.dispatch.nodes[index].level >= 0 or self.dispatch.nodes[index].running > 0
            blocked += self.dispatch.nodes[index].masks & 3 != 0
        self.dispatch.unlock()
        return runnable, blocked

    def set_spans(self, spans):
        """Trace what the nodes handle from now on, or (None) do not. What is replaced is kept as long as the run: a
        worker may be about to call it."""
        self.all_spans.append(spans)
        for cell in self.cells:
            (<Cell>cell).spans = spans

    def set_paused(self, int index, bint paused):
        """Let a node handle no data, ticks or produce (it still gets control), or let it go on."""
        self.dispatch.set_paused(&self.dispatch.nodes[index], paused)

    def set_band(self, edge_id, int band):
        """Move an edge to another priority band, at once."""
        cdef Inlet inlet = self.inlets.get(edge_id)
        cdef Outlet outlet = self.outlets.get(edge_id)
        if inlet is not None:
            self.dispatch.set_band(&inlet.state, band - 1)
        if outlet is not None:
            outlet.band = band - 1
            self.dispatch.set_outlet_band(outlet.state, band - 1)


cdef int release_cell(Cell cell) except -1:
    """The run is over for this node: it may be part of another."""
    cell.release()
    if (<NodeBase>cell.node).cell is cell:
        tie(cell.node, None)
    return 0


cdef int tie(NodeBase node, Cell cell) except -1:
    """Say which place in a run the node has; is_live() may be asking on any thread."""
    with cython.critical_section(node):
        node.cell = cell
    return 0
