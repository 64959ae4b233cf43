from graphflow.core.baton cimport Baton, Rules
from graphflow.core.engine cimport Engine
from graphflow.core.edge cimport Edge
from graphflow.core.lock cimport Bell
from libc.stdint cimport int64_t

cdef class SimulatedEngine(Engine):
    cdef Baton baton
    cdef object hooks               # (path, node, index) -> what has the node's hooks in a simulation
    cdef readonly list stops        # (drain, timeout_s) of each request to stop
    cdef int most_at_once           # messages of a turn, as configured
    cdef list overtaken             # by node: data messages begun since its tick was due
    cdef list depths                # of the edges, when they were last looked at

    cdef int listen(self, Bell* bell, int64_t until_ns) except -1

cdef class RunRules(Rules):
    cdef SimulatedEngine engine

    cdef bint counts(self, Edge edge) noexcept
    cdef str forgotten(self, Edge edge, bint inside)
    cdef str unsent(self, Edge edge)
    cdef str path(self, int index)
