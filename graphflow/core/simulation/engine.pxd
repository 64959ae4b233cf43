from graphflow.core.cells.cell cimport Cell
from graphflow.core.dispatch.state cimport InletState, NodeState
from graphflow.core.edges.edge cimport Edge
from graphflow.core.engine.engine cimport Engine
from graphflow.core.simulation.interleaver cimport Baton, Rules
from graphflow.core.sync.lock cimport Bell
from libc.stdint cimport int64_t

cdef class SimulatedEngine(Engine):
    cdef Baton baton
    cdef object hooks               # (path, node, index) -> what has the node's hooks in a simulation
    cdef readonly list stops        # (drain, timeout_s) of each request to stop
    cdef int most_at_once           # messages of a turn, as configured
    cdef list overtaken             # by node: data messages begun since its tick was due
    cdef list control_overtaken     # the same since a control message came to it
    cdef list depths                # of the edges, when they were last looked at

    cdef int goes_before(self, list counts, int index, bint waits, int at_most, str what) except -1
    cdef int listen(self, Bell* bell, int64_t until_ns) except -1

cdef struct Seen:
    # A node when it was last looked at.
    int64_t turns
    int batch_left              # of a turn that was cut
    int turn_level
    bint of_this_round          # that turn was begun in the present round of its crew, which it is paid in

cdef struct Round:
    # A crew when it was last looked at, and what each band has had in the present round.
    int64_t turns[4]
    int credit[3]
    int begun[3]

cdef class RunRules(Rules):
    cdef SimulatedEngine engine
    cdef Seen* seen             # by node
    cdef Round* rounds          # by crew

    cdef bint too_many_open(self, NodeState* state) noexcept
    cdef bint overflows(self, Cell cell) noexcept
    cdef str unpaid(self)
    cdef int count_turn(self, int crew_index, int level) except -1
    cdef bint counts(self, Edge edge) noexcept
    cdef bint works_unheard(self, NodeState* state, Cell cell) noexcept
    cdef str forgotten(self, Edge edge, bint inside)
    cdef bint listed(self, InletState* inlet) noexcept
    cdef str unsent(self, Edge edge)
    cdef str unqueued(self, NodeState* node)
    cdef str miscounted(self, Cell cell)
    cdef str unweighed(self, Edge edge)
    cdef str path(self, int index)
