from graphflow.core.cells.cell cimport Cell
from graphflow.core.cells.handling cimport Inlet
from graphflow.core.cells.outbox cimport Outlet
from graphflow.core.dispatch.state cimport NodeState
from graphflow.core.dispatch.turns cimport Dispatch

cdef Cell make_cell(object placed, NodeState* state, object engine, object hooks, object config, bint on_loop)
cdef Inlet make_inlet(object link, Cell cell)
cdef Outlet make_outlet(object link, Cell cell, object target)
cdef int complete(Cell cell) except -1
cdef int set_ratio(Dispatch dispatch, object ratio) except -1
cdef int set_groups(Dispatch dispatch, object plan) except -1
