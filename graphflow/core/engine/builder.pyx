# What a run is made of, from a plan: the cell of each node, which kind of it, and its ends of the edges.
#
# Which kind of cell: one of the event loop where a hook is an `async def`; one with a call book where several messages
# may be under way, or one may be tried again; a compiled step for a node from a function; else a plain one. Only what
# a node asks for costs it anything.
#
# All of this runs before the threads of the run do, so nothing is locked. The engine comes as a plain object: its
# module needs this one first, so this one cannot need the class.

from cpython.contextvars cimport PyContext_New
from cpython.mem cimport PyMem_Calloc
from libc.stdint cimport int64_t

from graphflow.core.cells.aio_cell cimport AsyncCell
from graphflow.core.cells.cell cimport Cell
from graphflow.core.cells.handling cimport Inlet
from graphflow.core.cells.in_flight cimport StagedCell
from graphflow.core.cells.operators.loop cimport StepCell
from graphflow.core.cells.outbox cimport Outlet
from graphflow.core.dispatch.state cimport BANDS, HAS_SOURCE, PRODUCING, CallState, Group, NodeState
from graphflow.core.dispatch.turns cimport Dispatch
from graphflow.core.edges.edge cimport Edge
from graphflow.core.edges.ring cimport new_ring
from graphflow.core.metrics.histogram cimport new_timed
from graphflow.core.sync.mutants cimport planted

from graphflow.graph.function_node import MadeNode
from graphflow.graph.node import Node
from graphflow.nodes.steps import BatchNode, StepNode


# ============================================================================================ cells


cdef Cell make_cell(object placed, NodeState* state, object engine, object hooks, object config, bint on_loop):
    """The cell of one node, of the kind that its hooks and its policies need; its edges come later."""
    cdef Dispatch dispatch = engine.dispatch
    node = placed.node
    policy = node.error_policy or config.error_policy
    if isinstance(node, BatchNode):
        policy = policy.final       # it has no function that could be called again
    cdef Cell cell = StepCell() if isinstance(node, StepNode) else Cell()
    if on_loop or node.max_concurrency > 1 or policy.kind == "retry":
        cell = make_staged(state, node, policy, on_loop, engine.new_random().random)
    cell.state = state
    cell.node = node
    cell.hooks = hooks
    cell.path = placed.path
    cell.dispatch = dispatch
    cell.engine = engine
    cell.outs = {port.name: [] for port in node.outputs}
    cell.only_out = results_port(node)
    cell.inlets = []
    cell.outlets = []
    cell.errors = []
    cell.outbox_limit = config.outbox_limit
    cell.error_policy = policy
    cell.sends_letters = policy.final.kind == "dead_letter"
    cell.may_emit = True
    cell.variables = PyContext_New()
    cell.shared = state.limit > 1 or on_loop
    cell.on_message = hooks.on_message
    if config.metrics:
        cell.handling = new_timed(state.index)
    cell.has_start = overrides(node, "on_start")
    cell.has_drain = overrides(node, "on_drain")
    cell.has_stop = overrides(node, "on_stop")
    cell.has_on_error = overrides(node, "on_error")
    cell.is_source = callable(getattr(node, "produce", None))
    cell.ends_with_outputs = node.ends_with_outputs is True
    state.ends_unheard = cell.is_source or cell.ends_with_outputs
    state.drains = cell.has_drain
    if cell.is_source:
        state.pending |= HAS_SOURCE
    if overrides(node, "on_tick") and not isinstance(node, StepNode):      # which asks for its ticks one by one
        interval = node.tick_interval_ms or config.tick_interval_ms
        state.tick_interval_ns = <int64_t>(interval * 1e6)
        state.keeps_alive = len(node.inputs) == 0
        dispatch.tickers += state.keeps_alive
    return cell


cdef str results_port(object node):
    """The port that what a node yields, or its function returns, goes to; None where it has to say which."""
    if isinstance(node, MadeNode):
        return node.results
    return node.outputs[0].name if len(node.outputs) == 1 else None


cdef StagedCell make_staged(NodeState* state, object node, object policy, bint on_loop, object random):
    """A cell with a call book."""
    cdef StagedCell cell = AsyncCell() if on_loop else StagedCell()
    cell.stages = node.max_concurrency > 1 or policy.kind == "retry"
    cell.open_calls = set()
    cell.random = random
    state.limit = node.max_concurrency
    state.book.kept = True
    state.book.most = state.limit
    if not node.ordered:
        state.book.spare = policy.max_waiting
    else:
        state.book.window = state.limit
        state.book.places = <CallState**>PyMem_Calloc(state.limit, sizeof(CallState*))
        if state.book.places == NULL:
            raise MemoryError
    if on_loop:
        (<AsyncCell>cell).flights = set()
        state.masks |= PRODUCING        # until the source asks for leave to send
    return cell


cdef bint overrides(object node, str hook) except -1:
    """Does the node define this hook itself?"""
    return getattr(getattr(node, hook), "__func__", None) is not getattr(Node, hook)


# ============================================================================================ their edges


cdef Inlet make_inlet(object link, Cell cell):
    """The end of an edge that enters `cell`."""
    cdef Inlet inlet = Inlet()
    cdef Edge edge = link.edge
    inlet.edge = edge
    inlet.port = edge.target_port
    inlet.dispatch = cell.dispatch
    inlet.carries = link.carries
    edge._carry(link.carries)
    inlet.state.node = cell.state
    inlet.state.band = link.band - 1
    inlet.state.index = len(cell.inlets)
    inlet.state.data_count = &edge.data.count
    inlet.state.lane_count = &edge.lane.count
    if link.source is None:
        inlet.state.external = True
        inlet.state.next_external = cell.state.externals
        cell.state.externals = &inlet.state
    cell.inlets.append(inlet)
    return inlet


cdef Outlet make_outlet(object link, Cell cell, object target):
    """The end of an edge that leaves `cell`, for the node `target` or (None) out of the graph."""
    cdef Outlet outlet = Outlet()
    outlet.to_function = isinstance(target, MadeNode)
    outlet.edge = link.edge
    outlet.band = link.band - 1
    outlet.state = cell.state
    outlet.dispatch = cell.dispatch
    cell.state.outlet_count += 1
    cell.state.outlets_open += 1
    outlet.deferred = new_ring(1)
    outlet.deferred_control = new_ring(1)
    cell.outlets.append(outlet)
    cell.outs[outlet.edge.source_port].append(outlet)
    return outlet


cdef int complete(Cell cell) except -1:
    """All edges of the node are known: what is looked up at every emit is looked up once."""
    cell.outs = {port: tuple(outlets) for port, outlets in cell.outs.items()}
    # Room for one message on every edge of a port, in each call that may have something to send: where calls are kept
    # those are the open ones and as many that wait to leave (C7). A copy on its way into the outbox counts twice.
    widest = max(map(len, cell.outs.values()), default=0)
    if cell.state.book.kept:
        widest *= 2 * cell.node.max_concurrency + 1
    if not planted("outbox without room"):
        cell.outbox_limit = max(cell.outbox_limit, widest)
    set_only_outlets(cell)
    if type(cell) is StepCell:
        (<StepCell>cell).set_up(operator_of(cell))
    return 0


cdef int set_only_outlets(Cell cell) except -1:
    """Where a node sends that has one output, or none."""
    cdef Outlet outlet
    if cell.only_out is None and cell.outs and not isinstance(cell.node, StepNode):
        return 0
    cell.only_outlets = cell.outs.get(cell.only_out, ())
    if len(cell.only_outlets) == 1:
        outlet = cell.only_outlets[0]
        if outlet.edge.spec is None and not outlet.edge.wraps:
            cell.plain = outlet
    return 0


cdef object operator_of(Cell cell):
    """What a compiled step does with a message; in a simulation, as its hooks would have it."""
    if cell.hooks is cell.node:
        return cell.node.operator
    return cell.node.operator.around(cell.hooks.around)


# ============================================================================================ the dispatcher


cdef int set_ratio(Dispatch dispatch, object ratio) except -1:
    """How the bands share the turns of each crew; `ratio` names the highest first."""
    cdef int index, band
    for index in range(dispatch.crew_count):
        for band in range(BANDS):
            dispatch.crews[index].ratio[band] = ratio[BANDS - 1 - band]
            dispatch.crews[index].credit[band] = ratio[BANDS - 1 - band]
    return 0


cdef int set_groups(Dispatch dispatch, object plan) except -1:
    """Give the dispatcher the strongly connected groups, and which feeds which."""
    cdef Group* group
    cdef int place = 0
    cdef int index
    cdef list of_node = [0] * len(plan.nodes)
    cdef list after = [set() for _ in plan.groups]
    for index, members in enumerate(plan.groups):
        group = &dispatch.groups[index]
        group.first = members[0]
        group.count = len(members)
        for member in members:
            of_node[member] = index
            dispatch.nodes[<int>member].group = group
    for link in plan.links:
        if link.source is not None and link.target is not None:
            if of_node[link.source] != of_node[link.target]:
                after[of_node[link.source]].add(of_node[link.target])
    for index in range(len(plan.groups)):
        group = &dispatch.groups[index]
        group.after = &dispatch.after[place]
        for fed in sorted(after[index]):
            dispatch.after[place] = fed
            dispatch.groups[<int>fed].open_before += 1
            place += 1
        group.after_count = len(after[index])
    return 0
