from graphflow.core.cells.call cimport Call
from graphflow.core.cells.cell cimport Cell
from graphflow.core.cells.handling cimport Inlet
from graphflow.core.dispatch.state cimport InletState

cdef class StagedCell(Cell):
    cdef bint stages            # what a call emits is kept until it has ended; fixed
    cdef set open_calls         # holds the calls that the dispatcher only points at
    cdef object random          # draws the jitter of backoff

    cdef bint live(self) except -1
    cdef bint go_on(self) except -1
    cdef int produce(self) except -1
    cdef bint claim_data(self, Inlet inlet) except -1
    cdef bint claim_control(self, Inlet inlet) except -1
    cdef bint claim_tick(self) except -1
    cdef bint claim(self, Inlet inlet, object item, int level) except -1
    cdef int open_call(self, Call call, InletState* inlet) except -1
    cdef bint begin(self, Call call) except -1
    cdef bint resume(self, Call call) except -1
    cdef int give_up(self, Call call) except -1
    cdef object enter_call(self, Call call)
    cdef int attempt(self, Call call) except -1
    cdef int attempt_begins(self, Call call) except -1
    cdef int attempt_ends(self, Call call, object error) except -1
    cdef int attempt_succeeded(self, Call call) except -1
    cdef int call_hook(self, Call call) except -1
    cdef int exhaust(self, Call call, object generator) except -1
    cdef bint outgrows(self, Call call) noexcept
    cdef int wait_to_stream(self, Call call) except -1
    cdef int pause_stream(self, Call call) except -1
    cdef int resume_stream(self, Call call) except -1
    cdef int stream_within(self, Call call) except -1
    cdef int stream(self, Call call) except -1
    cdef bint may_go_on(self, int done) noexcept
    cdef int abandon_streams(self) except -1
    cdef int attempt_failed(self, Call call, object error) except -1
    cdef bint attempt_ends_in(self, Call call, object error) except -1
    cdef int try_or_give_up(self, Call call, object error) except -1
    cdef bint tries_again(self, Call call) except -1
    cdef bint back_off(self, Call call, object error) except -1
    cdef int report_retry(self, Call call, object error, int attempts, double rest) except -1
    cdef int end_call(self, Call call) except -1
    cdef int let_leave(self) except -1
    cdef int flush_and_leave(self) except -1
    cdef int abandon_calls(self) except -1
    cdef int abandon(self, Call call) except -1
