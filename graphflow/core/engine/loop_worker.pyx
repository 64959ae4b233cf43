# The worker that is an event loop: it runs the turns of the async nodes between the steps of their coroutines.
#
# It must not block in sleep(), so it dozes: told that nothing is ready, it returns to the event loop, and whoever
# queues a node of its crew writes a byte into its pipe (D4: it dozes only after seeing, in the same section, that
# nothing is queued, and the byte stays readable until it is read, so no wake-up is lost). The pipe is written to as
# well when the phase changes: a draining graph ends its sources where they await, a stop that has run out of patience
# cancels.

import asyncio
import socket

from cpython.pythread cimport PyThread_get_thread_ident

from graphflow.core.cells.aio_cell cimport AsyncCell
from graphflow.core.cells.cell cimport Cell
from graphflow.core.cells.flight cimport Flight
from graphflow.core.dispatch.state cimport DRAINING, ENDED, Crew, NodeState, Stint
from graphflow.core.dispatch.turns cimport Dispatch
from graphflow.core.engine.engine cimport Engine
from graphflow.core.sync.lock cimport acquire, peek
from graphflow.core.sync.thread_state cimport here

from graphflow.core.edges.forked import leave_process

cdef enum:
    TURNS_AT_ONCE = 64      # before the coroutines that they started run


cdef double GRACE_S = 0.1           # for what has been cancelled, however little time is left


cdef class LoopWorker:
    """The worker of the crew that async nodes belong to; everything but the constructor runs on its loop's thread."""
    cdef Engine engine
    cdef Dispatch dispatch
    cdef Crew* crew
    cdef object loop
    cdef object reader, writer      # the two ends of the pipe
    cdef bint dozing
    cdef Stint me
    cdef bint drained, hurried      # what it has made of the phase so far
    cdef list own                   # tasks of the hooks' own that were cancelled at its end; None before

    def __init__(self, Engine engine, int crew_index, int worker):
        self.engine = engine
        self.dispatch = engine.dispatch
        self.crew = &engine.dispatch.crews[crew_index]
        self.me.worker = worker
        self.loop = asyncio.new_event_loop()    # both here, where they may fail while no run waits for them
        try:
            self.reader, self.writer = socket.socketpair()
        except BaseException:
            self.loop.close()
            raise
        self.reader.setblocking(False)
        self.writer.setblocking(False)
        self.crew.wake_fd = self.writer.fileno()

    def work(self):
        """The life of the loop's thread, until the run has ended."""
        here().scheduler = self.engine.token
        here().worker = self.me.worker
        for cell in self.cells():
            (<AsyncCell>cell).loop = self.loop
            (<AsyncCell>cell).loop_thread = PyThread_get_thread_ident()
        self.loop.add_reader(self.reader.fileno(), self.woken)
        self.loop.call_soon(self.turns, False)
        try:
            self.run_loop()
        finally:
            self.end()
            here().scheduler = 0
            here().worker = -1

    def run_loop(self):
        """Run the loop until it is stopped. KeyboardInterrupt and SystemExit leave it whoever raised them, a task of
        the user's own too: they stop the graph, and the hooks that are still due need the loop."""
        while True:
            try:
                return self.loop.run_forever()
            except BaseException as error:
                self.engine.fatal(error)

    def cells(self):
        """The nodes of the loop's crew."""
        return [cell for cell in self.engine.cells if (<Cell>cell).state.crew == self.crew]

    def woken(self):
        """A byte came: there are turns to run, or the phase has changed."""
        while True:
            try:
                self.reader.recv(4096)
            except BlockingIOError:
                break
        self.heed_phase()
        if self.dozing and self.dispatch.roused(self.crew):
            self.dozing = False
            self.turns(True)

    def turns(self, bint woken):
        """Run what is ready, then let the coroutines run; doze when there is nothing."""
        cdef NodeState* state
        cdef int done = 0
        self.me.since_ns = self.dispatch.clock.now_ns()     # coroutines have run since
        while done < TURNS_AT_ONCE:
            state = self.dispatch.next_turn(self.crew, woken, &self.me)
            woken = False
            if state != NULL:
                done += 1
                (<Cell>self.engine.cells[state.index]).turn(&self.me)
            elif peek(self.dispatch.phase) == ENDED:
                return
            elif self.dispatch.doze(self.crew, &self.me):
                self.dozing = True
                return
            else:
                woken = True
        self.loop.call_soon(self.turns, False)

    def heed_phase(self):
        """What coroutines must be told of the end of a run."""
        cdef int phase = peek(self.dispatch.phase)
        if phase >= DRAINING and not self.drained:
            self.drained = True
            for cell in self.cells():
                (<AsyncCell>cell).close_source()
        if peek(self.dispatch.impatient) and not self.hurried:
            self.hurried = True
            for cell in self.cells():
                (<AsyncCell>cell).cancel_flights()
        if phase == ENDED:
            self.loop.stop()

    def end(self):
        """End what is still under way, and close the loop whatever comes of that."""
        self.loop.remove_reader(self.reader.fileno())       # a late byte would stop the loop once more
        try:
            self.cancel_what_is_left()
        finally:
            self.loop.close()
            for cell in self.cells():
                cell.lose_flights()
                self.engine.let_go(cell)
            self.close()

    def cancel_what_is_left(self):
        """A coroutine or generator that does not end when it is cancelled is left behind, and so are tasks that hooks
        have started by themselves: these have the time that the stop has left, as what they do then may await."""
        left = []
        for cell in self.cells():
            left += cell.cancel_others(None, True)
        self.own = own = [task for task in asyncio.all_tasks(self.loop) if task not in left]
        for task in own:
            task.cancel()
        if left:
            self.loop.run_until_complete(asyncio.wait(left, timeout=GRACE_S))
        if own:
            self.loop.run_until_complete(asyncio.wait(own, timeout=max(GRACE_S, self.engine.seconds_left())))
        for task in left + own:
            task._log_destroy_pending = False       # it is named in the report
        closing = self.loop.create_task(self.loop.shutdown_asyncgens())
        self.loop.run_until_complete(asyncio.wait([closing], timeout=GRACE_S))
        closing._log_destroy_pending = False

    def refusing(self):
        """Names of the tasks of hooks' own that have not ended: after the loop's end, or, where a step of one has not
        returned, while it still runs."""
        own = self.own
        if own is None:
            flights = {flight_task(flight) for cell in self.cells() for flight in (<AsyncCell>cell).flights.copy()}
            own = asyncio.all_tasks(self.loop) - flights
        return tuple(task.get_name() for task in own if not task.done())

    def orphan(self):
        """In a child that was forked on the loop's thread, by a task of the user's own: it ends with the next step of
        the loop. (Inside a hook it ends sooner; see Flight.step.)"""
        if here().scheduler == self.engine.token and here().worker == self.me.worker:
            self.loop.call_soon(leave_process)

    def close(self):
        """Close the pipe; also for a run that did not begin."""
        acquire(self.dispatch.mu)
        self.crew.wake_fd = -1
        self.dispatch.unlock()
        self.reader.close()
        self.writer.close()
        self.loop.close()


cdef object flight_task(Flight flight):
    return flight.task
