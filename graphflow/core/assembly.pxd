from graphflow.core.cell cimport Cell
from graphflow.core.dispatch cimport Dispatch
from graphflow.core.handler cimport Inlet
from graphflow.core.sender cimport Outlet
from graphflow.core.state cimport NodeState

cdef Cell make_cell(object placed, NodeState* state, object engine, object hooks, object config, bint on_loop)
cdef Inlet make_inlet(object link, Cell cell)
cdef Outlet make_outlet(object link, Cell cell, object target)
cdef int complete(Cell cell) except -1
cdef int set_ratio(Dispatch dispatch, object ratio) except -1
cdef int set_groups(Dispatch dispatch, object plan) except -1
