from graphflow.core.clock cimport Clock
from graphflow.core.state cimport Crew, Group, Hook, InletState, NodeState, Phase, Timer, Work
from graphflow.core.timers cimport TimerHeap
from libc.stdint cimport int64_t
from libcpp.condition_variable cimport condition_variable
from libcpp.mutex cimport mutex

cdef class Dispatch:
    cdef mutex mu
    # ---- guarded by mu -----------------------------------------------------------------------------------------
    cdef Phase phase
    cdef NodeState* nodes
    cdef int node_count
    cdef Crew* crews
    cdef int crew_count
    cdef Group* groups
    cdef int group_count
    cdef int* after             # the arrays that Group.after points into
    cdef int groups_left        # unfinished
    cdef int busy_nodes
    cdef int open_inputs        # exposed inputs that are not closed
    cdef Group* to_check        # groups whose state has changed
    cdef int cursor             # node whose on_start (up) or on_stop (down) is next
    cdef bint drain_wanted      # asked for while starting
    cdef bint stop_wanted
    cdef bint timed_out         # a deadline cut the drain or the stop short
    cdef TimerHeap timers
    cdef int64_t drain_deadline_ns
    cdef int64_t deadline_ns
    cdef int64_t patience_ns    # when a stop passes over a node that is still inside a hook
    cdef bint helped            # a worker was added for the stop
    cdef bint short_of_workers  # a stop hook is due and every worker is inside a node
    cdef int64_t keeper_until_ns
    cdef condition_variable keeper_bell
    # ---- fixed once the run begins -------------------------------------------------------------------------------
    cdef Clock clock
    cdef int batch

    # With the GIL (or attached); each takes the lock.
    cdef void arrived(self, InletState* inlet, bint control) noexcept
    cdef void room(self, NodeState* node) noexcept
    cdef void open_input(self, InletState* inlet) noexcept
    cdef void input_closed(self, InletState* inlet) noexcept
    cdef void expect_room(self, NodeState* node, int64_t after_ns) noexcept
    cdef NodeState* next_turn(self, Crew* crew, bint woken) noexcept
    cdef Work choose(self, NodeState* node, InletState** inlet, int* quantum, int lanes_done) noexcept
    cdef void inlet_left(self, InletState* inlet, bint control) noexcept
    cdef void set_outbox(self, NodeState* node, bint data, bint control, int level) noexcept
    cdef void ended(self, NodeState* node, int bits) noexcept
    cdef void hold(self, NodeState* node, int level) noexcept
    cdef void end_turn(self, NodeState* node, bint cut, int batch_left) noexcept
    cdef void hook_done(self, NodeState* node, Hook hook, bint failed) noexcept
    cdef void stop_node(self, NodeState* node) noexcept
    cdef void set_paused(self, NodeState* node, bint paused) noexcept
    cdef void set_band(self, InletState* inlet, int band) noexcept
    cdef void begin(self) noexcept
    cdef void request_stop(self, bint drain, int64_t drain_deadline_ns, int64_t deadline_ns) noexcept

    # Without the GIL; each takes the lock.
    cdef bint sleep(self, Crew* crew) noexcept nogil
    cdef int keep(self) noexcept nogil

    # Under the lock.
    cdef void refresh(self, NodeState* node) noexcept nogil
    cdef int allowed(self, NodeState* node) noexcept nogil
    cdef int level_of(self, NodeState* node, int ready) noexcept nogil
    cdef void count_busy(self, NodeState* node) noexcept nogil
    cdef void wake(self, Crew* crew) noexcept nogil
    cdef void list_inlet(self, InletState* inlet, bint control) noexcept nogil
    cdef bint banded(self, Crew* crew) noexcept nogil
    cdef int take_inlet(self, NodeState* node, InletState** inlet) noexcept nogil
    cdef bint untold(self, NodeState* node) noexcept nogil
    cdef bint any_untold(self) noexcept nogil
    cdef void check_later(self, Group* group) noexcept nogil
    cdef void check_groups(self) noexcept nogil
    cdef bint check(self, Group* group) noexcept nogil
    cdef void grant_hook(self, NodeState* node, Hook hook) noexcept nogil
    cdef void next_start(self) noexcept nogil
    cdef void open_run(self) noexcept nogil
    cdef void begin_drain(self) noexcept nogil
    cdef void begin_stop(self) noexcept nogil
    cdef void next_stop(self) noexcept nogil
    cdef void finish(self) noexcept nogil
    cdef void fire(self, Timer* timer, int64_t now) noexcept nogil
    cdef int64_t keeper_due(self, int64_t now) noexcept nogil
    cdef void wake_keeper(self, int64_t due_ns) noexcept nogil
    cdef void leave_turn(self, NodeState* node) noexcept nogil
