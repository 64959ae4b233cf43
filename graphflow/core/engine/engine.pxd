from graphflow.core.dispatch.phases cimport Errand
from graphflow.core.dispatch.state cimport Crew, Stint
from graphflow.core.dispatch.turns cimport Dispatch
from graphflow.core.sync.clock cimport Clock
from libc.stdint cimport int64_t

cdef class Engine:
    # One run of a graph: the dispatcher, its nodes and its edges. Built before the threads start; afterwards only the
    # fields marked with a lock change.
    cdef readonly Dispatch dispatch
    cdef Clock clock
    cdef readonly object new_random     # makes generators of random numbers
    cdef readonly list cells            # of the nodes, in start order
    cdef readonly list links            # of the plan
    cdef readonly int crews
    cdef readonly int loop_crew         # that of async nodes, whose worker is an event loop; 0 for none
    cdef readonly str name              # of the scheduler, for logs
    cdef readonly bint metrics          # messages are timed
    cdef readonly int64_t token         # this scheduler's, for `here().scheduler`
    cdef list all_spans                 # everything that ever made spans in this run
    cdef dict inlets                    # edge id -> Inlet, where a node reads it
    cdef dict outlets                   # edge id -> Outlet, where a node feeds it
    cdef readonly object opened         # a Latch: every node has started (or the run is over)
    cdef bint announced                 # `opened` is set
    cdef object failure_lock            # guards the next
    cdef readonly object failure        # the error that stopped the graph
    cdef int64_t stop_budget_ns

    cdef bint sleep(self, Crew* crew, Stint* me) except -1
    cdef Errand await_errand(self) except *
    cdef object hooks_of(self, str path, object node, int index)
    cdef int wire(self, object plan, object config) except -1
