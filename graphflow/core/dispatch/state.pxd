# The plain data that the dispatcher decides on: no Python object, so that it can be read and changed without the GIL.
# Every field is guarded by the dispatcher's lock unless it says otherwise.
from libc.stdint cimport int64_t, uint64_t

from graphflow.core.metrics.histogram cimport Sampler
from graphflow.core.sync.lock cimport Bell

cdef enum Pending:
    # What a node could do now.
    HAS_CONTROL = 1     # a lane of an input is not empty
    HAS_DATA = 2        # an input is not empty
    HAS_TICK = 4        # a tick is due
    HAS_ROOM = 8        # a full edge below it has room again (or was closed)
    HAS_SOURCE = 16     # produce() may yield
    HAS_HELD = 32       # a generator handler is suspended
    HAS_HOOK = 64       # on_start, on_drain or on_stop is due: see `hook`
    HAS_RETRY = 128     # a call that backed off is due

cdef enum Mask:
    # What keeps a node from doing it.
    OUTBOX = 1          # deferred data: no data, no ticks
    CONTROL_OUTBOX = 2  # deferred control: no control either
    PAUSED = 4
    STOPPED = 8         # by its error policy: it only empties its outbox
    PRODUCING = 16      # an async produce() is at its next value: not asked for another

cdef enum Hook:
    NO_HOOK
    START_HOOK
    DRAIN_HOOK
    STOP_HOOK

cdef enum Work:
    # What choose() grants.
    NO_WORK
    CUT_WORK            # none: something above what is next became ready
    HOOK_WORK
    FLUSH_WORK
    CONTROL_WORK
    TICK_WORK
    HELD_WORK
    RETRY_WORK
    DATA_WORK
    SOURCE_WORK

cdef enum Phase:
    STARTING
    RUNNING
    DRAINING
    STOPPING
    ENDED

cdef enum:
    BANDS = 3           # NORMAL, HIGH, CONTROL are the levels 0, 1, 2
    LANE_LEVEL = 3      # control messages and life-cycle hooks, above the bands
    LEVELS = 4
    LANE_RUN = 64       # lane messages in a row before one banded turn

cdef struct InletState:
    # One edge that enters a node.
    NodeState* node
    int band
    bint queued             # in the node's list for its band
    bint lane_queued
    bint external           # an exposed input: it is open until it is closed
    bint open
    InletState* next
    InletState* lane_next
    InletState* next_external   # of the same node's exposed inputs; fixed
    int index               # among the node's inlets; fixed
    Py_ssize_t* data_count  # the edge's own counts, to peek at
    Py_ssize_t* lane_count

cdef struct InletList:
    InletState* first
    InletState* last

cdef struct CallState:
    # One message or tick that a node with a call book is at, from its taking until what it emitted has left.
    void* call              # the Call, borrowed: its cell holds it
    int level               # of its message
    int64_t place           # in the window, -1 outside it; fixed
    bint ended              # handled or given up: it leaves when everything before it has
    CallState* next         # of those that leave
    int64_t due_ns          # of its next attempt
    bint outgrown           # it has more to send than may be kept: it goes on when it is its turn to leave
    bint streaming          # that turn has come: it is in `streams`
    CallState* next_stream
    CallState* left         # below it in the heap of those that back off
    CallState* right
    bint tick               # it is about a tick; fixed
    bint cut                # the drain leaves no time for another attempt: it is taken from its rest to be given up

cdef struct CallBook:
    # The open calls of a node that runs several at once or tries again. See in_flight.pyx.
    bint kept               # the node has one; fixed
    int most                # workers allowed inside; fixed
    int window              # places that may be open, 0: calls leave as they end; fixed
    int spare               # where there is no window: calls in backoff that take no place of `most`; fixed
    int open                # where there is no window: calls about data and ticks that have not ended
    int waiting             # calls about data and ticks that back off
    int ticks_waiting       # of these, about ticks
    CallState** places      # the calls in the window, by place modulo `window`
    int64_t given           # places given out
    int64_t gone            # of those, the ones whose calls have left or are leaving
    bint claiming           # a worker is taking an item or driving a generator: nobody else does
    bint alone              # a worker runs a hook of the life cycle, or its generator: nobody else enters
    bint control_open       # a call about a control message is open
    bint leaving            # a worker hands on what calls emitted, or empties the outbox: nobody else does
    CallState* leavers      # ended, in the order in which they leave
    CallState* last_leaver
    CallState* streams      # outgrown, and free to send at once: the first goes on as HAS_HELD
    int leaver_count
    CallState* resting      # in backoff: a heap, the first is due first

cdef struct Timer:
    int64_t due_ns
    Py_ssize_t place        # in the heap, -1 when not armed
    NodeState* node
    int bit                 # what becomes pending

cdef struct NodeState:
    int index
    int pending             # Pending bits; relaxed peeks between two messages
    int masks               # Mask bits
    int running             # workers inside
    int limit               # workers allowed inside
    int level               # where it is queued, -1 when it is not
    int lane_run            # control messages since its last banded work, up to LANE_RUN
    int64_t ticket          # orders its band: given when it gets ready there, 0 when that turn has come
    int turn_level          # where its present turn was picked
    int poke                # something above its present work turned up; relaxed peeks between two messages
    int batch_left          # of a turn that was cut
    bint begun              # its present turn is its band's: picked there, or nobody else was waiting
    int room_level          # band of its highest deferred edge
    int held_level          # of the message that the suspended handler to go on next is about
    int held_masks          # the masks that keep that handler from going on
    bint control_held       # a handler of a control message is suspended: no further control
    Hook hook
    bint started            # on_start has returned
    bint stopped            # on_stop has been given, or is not due
    bint left_inside        # a hook had not returned when the run ended
    bint drains             # it has an on_drain, which has not run
    bint busy               # counted in its group
    bint keeps_alive        # ticks and has no inputs
    int outlet_count        # edges that leave it; fixed
    int outlets_open        # of those, the ones that are not closed
    bint ends_unheard       # when all of them are it ends, or its source does; fixed
    int lingering           # workers inside that rest in sleep()
    NodeState* previous
    NodeState* next
    Crew* crew
    Group* group
    InletList data[3]
    InletList lanes
    InletState* externals   # exposed inputs; fixed
    int credit[3]           # of its inputs' bands
    bint source_next        # of input and produce() in the NORMAL band it is the source's turn
    int64_t tick_interval_ns
    Timer tick
    Timer room
    Timer retry
    CallBook book
    # counted for snapshots
    int64_t turns
    uint64_t spent_ns       # times of leaving less times of entering; it wraps. With the present time added for each
    #                         who is inside still, it is the time spent there
    int64_t ready_ns        # when it was queued, if this wait is timed; else 0

cdef struct NodeList:
    NodeState* first
    NodeState* last

cdef struct Crew:
    # The workers that run some nodes, and those of the nodes that are ready. All nodes share one crew but dedicated
    # ones, which have a crew of one worker each.
    NodeList levels[4]
    int ratio[3]
    int credit[3]
    int lane_run            # control messages since the last banded turn, up to LANE_RUN
    int64_t tickets         # given so far
    int count               # nodes queued
    int urgent              # the level that the next pick takes, -1 for none; relaxed peeks between two messages
    int idle                # workers asleep and not woken
    int waking              # woken, or about to look, and not here yet
    int permits             # of the woken, those that have not yet left their sleep
    Sampler sampler         # of the waits of its nodes
    int64_t turns[4]        # given so far, by level
    int64_t wakeups         # workers woken so far
    Bell* bell
    int wake_fd             # of a crew whose one worker is an event loop: written to instead of ringing; else -1

cdef struct Stint:
    # A worker's time: only its own thread touches it.
    int worker              # its row in the flight recorder
    bint parked             # it has gone to sleep, and taken no turn since
    int64_t since_ns        # its last look at the clock: when its turn began, or the one before ended

cdef struct Group:
    # Nodes that feed each other (most often one node). It runs dry for good when everything before it has finished.
    int first               # its nodes, as a run of indices
    int count
    int busy                # nodes with something to do
    int open_inputs
    int open_before         # unfinished groups that feed it
    bint finished
    bint listed             # waiting to be looked at
    Group* next
    int* after              # indices of the groups it feeds
    int after_count
