# How a run begins, runs dry and stops, and the keeper that watches its clock.
#
# STARTING   on_start of one node after the other, in topological order; nothing else runs.
# RUNNING    until the graph is quiescent (D3) or a stop is asked for.
# DRAINING   group by group: when nothing can reach a group any more its nodes get their on_drain, what they emit is
#            handled, and the groups that it feeds are looked at.
# STOPPING   on_stop of one node after the other, in reverse order; nothing else runs. A node that is still inside a
#            hook is waited for while patience lasts (half of the time left, each time), then passed over, and given its
#            on_stop if it returns before the deadline. A natural end has no deadline and waits.
# ENDED      everybody leaves.
#
# The keeper is the one thread that time moves: it fires timers and deadlines even when every worker is stuck.

from libc.stdint cimport int64_t

from graphflow.core.dispatch.backoff cimport Rests
from graphflow.core.dispatch.state cimport (
    DRAIN_HOOK,
    DRAINING,
    ENDED,
    HAS_HOOK,
    HAS_ROOM,
    HAS_TICK,
    PAUSED,
    RUNNING,
    START_HOOK,
    STARTING,
    STOP_HOOK,
    STOPPED,
    STOPPING,
    Group,
    Hook,
    NodeState,
    Timer,
)
from graphflow.core.dispatch.timers cimport NEVER
from graphflow.core.metrics.recorder cimport TICK
from graphflow.core.sync.lock cimport acquire, poke
from graphflow.core.sync.mutants cimport planted


cdef class Lifecycle(Rests):
    """How a run begins, runs dry and stops."""

    # ======================================================================================== starting

    cdef void grant_hook(self, NodeState* node, Hook hook) noexcept nogil:
        """Under the lock: the node's next turn is this hook."""
        node.hook = hook
        poke(node.pending, node.pending | HAS_HOOK)
        self.refresh(node)

    cdef void begin(self) noexcept:
        """Start the nodes one after the other."""
        acquire(self.mu)
        self.begin_phase(STARTING)
        self.cursor = 0
        if self.stop_wanted:
            self.finish()
        else:
            self.next_start()
        self.unlock()

    cdef void next_start(self) noexcept nogil:
        """Under the lock: grant the next on_start, once nobody is inside one."""
        cdef NodeState* latest = &self.nodes[max(self.cursor - 1, 0)]
        if self.cursor > 0 and (latest.running > 0 or latest.pending & HAS_HOOK):
            return
        if self.stop_wanted:
            self.begin_stop()
        elif self.cursor < self.node_count:
            self.cursor += 1
            self.grant_hook(&self.nodes[self.cursor - 1], START_HOOK)
        else:
            self.open_run()

    cdef void open_run(self) noexcept nogil:
        """Under the lock: every node has started."""
        cdef int index
        cdef NodeState* node
        cdef int64_t now = self.clock.now_ns()
        self.begin_phase(RUNNING)
        for index in range(self.node_count):
            node = &self.nodes[index]
            if node.tick_interval_ns > 0 and not node.masks & STOPPED:
                self.timers.arm(&node.tick, now + node.tick_interval_ns)
            self.refresh(node)
        self.wake_keeper(self.keeper_due(now))
        if self.drain_wanted:
            self.begin_drain()
        self.check_groups()

    cdef void hook_done(self, NodeState* node, Hook hook, bint failed) noexcept:
        """A life-cycle hook of the node has returned."""
        acquire(self.mu)
        if hook == START_HOOK:
            node.started = not failed
            if failed:
                node.stopped = True
                node.drains = False
                self.retire(node)
                poke(node.masks, node.masks | STOPPED)
                poke(node.pending, node.pending & HAS_ROOM)
        elif hook == STOP_HOOK:
            node.stopped = True
        self.unlock()

    cdef void retire(self, NodeState* node) noexcept nogil:
        """Under the lock: a node that is stopped keeps nothing alive by its ticks."""
        if node.keeps_alive:
            node.keeps_alive = False
            self.tickers -= 1

    # ======================================================================================== running dry

    cdef void check_groups(self) noexcept nogil:
        """Under the lock: let a quiescent graph run dry, and finish what can be finished (D3). A list, not recursion: a
        chain of nodes may be long."""
        cdef Group* group
        cdef int index
        if (
            self.phase == RUNNING and self.busy_nodes == 0 and self.open_inputs == 0 and self.tickers == 0
            and not self.any_untold()
        ):
            self.begin_drain()
        while self.to_check != NULL and self.phase == DRAINING:
            group = self.to_check
            self.to_check = group.next
            group.listed = False
            if self.check(group):
                group.finished = True
                self.groups_left -= 1
                for index in range(group.after_count):
                    self.groups[group.after[index]].open_before -= 1
                    self.check_later(&self.groups[group.after[index]])
        if self.groups_left == 0 and self.phase == DRAINING:
            self.begin_stop()

    cdef bint check(self, Group* group) noexcept nogil:
        """Under the lock: can nothing more happen in this group? Grants an on_drain that is due.

        The edges are peeked at because a put into an exposed input may be stored and not yet told of when the input is
        closed; the store happened before the close, so it is seen here.
        """
        cdef int index
        cdef NodeState* node
        if group.busy > 0 or group.open_inputs > 0 or group.open_before > 0:
            return False
        for index in range(group.first, group.first + group.count):
            node = &self.nodes[index]
            if node.masks & STOPPED:
                continue
            if self.untold(node):
                return False
        for index in range(group.first, group.first + group.count):
            node = &self.nodes[index]
            if node.drains and not (planted("half a drain") and index > group.first):
                node.drains = False
                self.grant_hook(node, DRAIN_HOOK)
                return False
        return True

    cdef void begin_drain(self) noexcept nogil:
        """Under the lock: no more ticks, nobody paused, sources end after their turn. The caller closes the inputs."""
        cdef int index
        cdef NodeState* node
        self.begin_phase(DRAINING)
        self.alert_loops()
        self.wake_keeper(self.drain_deadline_ns)
        for index in range(self.node_count):
            node = &self.nodes[index]
            self.timers.disarm(&node.tick)
            poke(node.pending, node.pending & ~HAS_TICK)
            poke(node.masks, node.masks & ~PAUSED)
            poke(node.poke, 1)
            self.refresh(node)
            self.check_later(node.group)
        self.cut_rests_short()

    cdef void cut_rests_short(self) noexcept nogil:
        """Under the lock, while it drains: calls that back off for longer than that are given up now (backoff.pyx)."""
        cdef int index
        for index in range(self.node_count):
            self.cut_short(&self.nodes[index])

    # ======================================================================================== stopping

    cdef void request_stop(self, bint drain, int64_t drain_deadline_ns, int64_t deadline_ns) noexcept:
        """Drain and stop, or stop without draining; the earlier deadline and `drain` False win over earlier
        requests."""
        acquire(self.mu)
        if deadline_ns < self.deadline_ns:
            self.patience_ns = NEVER        # half of what was left is not half of what is left now
        self.drain_deadline_ns = min(self.drain_deadline_ns, drain_deadline_ns)
        self.deadline_ns = min(self.deadline_ns, deadline_ns)
        if drain:
            poke(self.drain_wanted, 1)
        else:
            poke(self.stop_wanted, 1)
        if not planted("deaf rest"):
            self.linger_bell.ring_all()
        if self.phase == RUNNING or self.phase == DRAINING:
            if drain and self.phase == RUNNING:
                self.begin_drain()
            elif not drain:
                self.begin_stop()
            else:
                self.cut_rests_short()
            self.check_groups()
        elif self.phase == STOPPING:
            self.next_stop()
        self.wake_keeper(self.keeper_due(self.clock.now_ns()))
        self.unlock()

    cdef void begin_stop(self) noexcept nogil:
        """Under the lock: from here on only on_stop runs, in reverse topological order."""
        cdef int index
        self.begin_phase(STOPPING)
        self.cursor = self.node_count - 1
        self.patience_ns = NEVER
        for index in range(self.node_count):
            self.timers.disarm(&self.nodes[index].tick)
            self.timers.disarm(&self.nodes[index].room)
            self.timers.disarm(&self.nodes[index].retry)
            if self.nodes[index].hook != STOP_HOOK:
                poke(self.nodes[index].pending, self.nodes[index].pending & ~HAS_HOOK)
            poke(self.nodes[index].poke, 1)
            self.refresh(&self.nodes[index])
        self.alert_loops()
        self.next_stop()

    cdef void next_stop(self) noexcept nogil:
        """Under the lock: grant the next on_stop; when it is still inside a hook wait for it, while patience lasts."""
        cdef NodeState* node
        cdef int64_t now
        cdef int index
        while self.phase == STOPPING and self.cursor >= 0:
            node = &self.nodes[self.cursor]
            if node.running > 0 or node.pending & HAS_HOOK:
                now = self.clock.now_ns()
                if self.patience_ns == NEVER and self.deadline_ns != NEVER:
                    self.patience_ns = now + (max(0, self.deadline_ns - now) >> 1)
                    self.wake_keeper(self.patience_ns)
                if now < self.patience_ns and not (planted("impatient stop") and node.running > 0):
                    return
                self.patience_ns = NEVER
                poke(self.impatient, 1)
                self.alert_loops()
                if node.running == 0 and not self.helped:
                    self.helped = self.short_of_workers = True      # its on_stop waits behind nodes that never return
                    return
            elif node.started and not node.stopped:
                node.stopped = True
                self.patience_ns = NEVER
                self.grant_hook(node, STOP_HOOK)
                continue        # it is pending now: wait for it above
            self.cursor -= 1
        if self.phase != STOPPING:
            return
        for index in range(self.node_count - 1, -1, -1):
            node = &self.nodes[index]
            if node.running > 0 or node.pending & HAS_HOOK:
                return
            if node.started and not node.stopped:
                node.stopped = True
                self.grant_hook(node, STOP_HOOK)
                return
        self.finish()

    cdef void finish(self) noexcept nogil:
        """Under the lock: the run is over; everybody leaves."""
        cdef int index
        self.begin_phase(ENDED)
        for index in range(self.node_count):
            self.nodes[index].left_inside = self.nodes[index].running > 0
            self.refresh(&self.nodes[index])
        for index in range(self.crew_count):
            self.crews[index].bell.ring_all()
        self.alert_loops()
        self.keeper_bell.ring_all()

    # ======================================================================================== resting

    cdef bint linger(self, NodeState* node, int64_t until_ns) noexcept nogil:
        """Without the GIL, by a worker inside the node: wait until that time (True), or until the node is to end
        (False). No wake-up is lost: it sleeps only after seeing, in the same section, that it is not to end, and
        whatever changes that rings all in a section of its own (is_ending)."""
        cdef int64_t now
        cdef bint ending
        self.mu.lock()
        node.lingering += 1
        now = self.clock.now_ns()
        while now < until_ns and not self.is_ending(node):
            self.wake_rung()
            self.linger_bell.wait(self.mu, wait_limit(until_ns - now))
            now = self.clock.now_ns()
        node.lingering -= 1
        ending = self.is_ending(node)
        self.unlock()
        return not ending

    # ======================================================================================== the keeper

    cdef Errand keep(self) noexcept nogil:
        """Without the GIL: fire timers and deadlines until the run has ended, or until there is something to do that
        this cannot (do it and call again)."""
        cdef Errand errand
        self.mu.lock()
        errand = self.next_errand()
        while errand == WAIT:
            self.wake_rung()
            self.keeper_bell.wait(self.mu, wait_limit(self.keeper_until_ns - self.clock.now_ns()))
            errand = self.next_errand()
        self.unlock()
        return errand

    cdef Errand next_errand(self) noexcept nogil:
        """Under the lock: do what is due. WAIT: nothing more before `keeper_until_ns`, or until the bell is rung."""
        cdef int64_t now = self.clock.now_ns()
        self.keeper_until_ns = 0
        self.meet_deadlines(now)
        if self.phase == ENDED:
            return LEAVE
        if self.short_of_workers:
            self.short_of_workers = False
            return ADD_WORKER
        if now >= self.watch_due_ns:
            self.watch_due_ns = now + self.watch_ns if self.busy_nodes > 0 else <int64_t>NEVER
            return LOOK
        if self.phases_new != 0:
            return TELL
        self.keeper_until_ns = self.keeper_due(now)
        return WAIT

    cdef void meet_deadlines(self, int64_t now) noexcept nogil:
        """Under the lock: fire the timers that are due, and do what the deadlines of a stop ask for."""
        cdef Timer* timer = self.timers.pop_due(now)
        while timer != NULL:
            self.fire(timer, now)
            timer = self.timers.pop_due(now)
        if self.phase == DRAINING and now >= self.drain_deadline_ns:
            self.timed_out = True
            self.drain_deadline_ns = 0      # no rest ends in time any more
            self.cut_rests_short()
            self.begin_stop()
        if self.phase == STARTING and now >= self.drain_deadline_ns:
            self.begin_stop()       # an on_start does not return: the nodes that did start get their on_stop
        if self.phase == STOPPING and now >= self.patience_ns:
            self.next_stop()
        if now >= self.deadline_ns and self.phase != ENDED:
            self.timed_out = True
            self.finish()

    cdef int take_new_phases(self) noexcept:
        """Bits of the phases that have begun since the last time."""
        cdef int phases
        acquire(self.mu)
        phases = self.phases_new
        self.phases_new = 0
        self.unlock()
        return phases

    cdef void fire(self, Timer* timer, int64_t now) noexcept nogil:
        """Under the lock: a timer is due. A tick is armed again on its grid, missed ones passed over."""
        cdef NodeState* node = timer.node
        cdef int64_t missed
        poke(node.pending, node.pending | timer.bit)
        poke(node.poke, 1)
        if timer.bit == HAS_TICK:
            self.recorder.note(TICK, now, -1, node.index, 0)
            if node.tick_interval_ns > 0:       # else it was asked for once, by tick_in()
                missed = (now - timer.due_ns) // node.tick_interval_ns
                self.timers.arm(timer, timer.due_ns + (missed + 1) * node.tick_interval_ns)
        self.refresh(node)

    cdef int64_t keeper_due(self, int64_t now) noexcept nogil:
        """Under the lock: when the keeper has something to do next."""
        cdef int64_t due = min(min(self.timers.next_due_ns(), self.deadline_ns), self.watch_due_ns)
        if self.phase == DRAINING or self.phase == STARTING:
            due = min(due, self.drain_deadline_ns)
        if self.phase == STOPPING and self.patience_ns > now:
            due = min(due, self.patience_ns)
        return due


cdef int64_t wait_limit(int64_t ns) noexcept nogil:
    """A wait that the C++ library can add to now; past it the keeper just looks again."""
    return min(max(ns, 0), <int64_t>365 * 86_400 * 1_000_000_000)
