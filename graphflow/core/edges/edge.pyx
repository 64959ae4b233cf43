# The edge as its users see it: it checks its arguments and answers questions. The queue decides, and wait.pyx waits.
# Nothing here holds a lock but to copy the counts.

cimport cython
from cpython.unicode cimport PyUnicode_FromObject
from libc.stdint cimport int64_t

from graphflow.core.edges.admission cimport is_control
from graphflow.core.edges.contents cimport (
    ANSWER_CLOSED,
    ASKED,
    BYTES,
    CARRIES,
    CLOSED,
    KEYED,
    TTL,
    Counts,
)
from graphflow.core.edges.forked cimport FORKED, closed_error, refuse_forked
from graphflow.core.edges.key_index cimport new_index
from graphflow.core.edges.policy cimport (
    POLICY_COALESCE,
    POLICY_CUSTOM,
    VERDICT_BLOCKED,
    VERDICT_OK,
    Coalesce,
    require_policy,
    kind_of,
    put_result,
)
from graphflow.core.edges.ring cimport new_ring
from graphflow.core.edges.wait cimport WaitingQueue
from graphflow.core.messages.port cimport Port, PortSpec
from graphflow.core.sync.clock cimport SYSTEM_CLOCK, Clock
from graphflow.core.sync.lock cimport acquire
from graphflow.core.sync.parking cimport timeout_ns_of

from graphflow.base.arguments import check_iterable
from graphflow.core.edges.policy import Block
from graphflow.core.edges.stats import EdgeStats

cdef Py_ssize_t LARGEST = 2**62
cdef object OK = put_result(VERDICT_OK)     # at hand, for the answer that nearly every put gets


cdef Py_ssize_t positive(object value, str name) except -1:
    """A bound as a C integer; TypeError or ValueError naming it."""
    if isinstance(value, bool) or not hasattr(type(value), "__index__"):
        raise TypeError(f"{name} must be a positive whole number, not {value!r}")
    number = value.__index__()
    if not 1 <= number <= LARGEST:
        raise ValueError(f"{name} must be a whole number from 1 to 2**62, not {value!r}")
    return number


cdef object name_of(object value, str name):
    """The name of an end of an edge, given as it is or by the node or port that bears it."""
    from graphflow.core.cells.base import NodeBase     # which needs edges itself

    if issubclass(type(value), (NodeBase, Port)):      # asks nothing of the value itself
        value = getattr(value, "name", value)    # which a node has once it is constructed
    if not isinstance(value, str) or len(PyUnicode_FromObject(value)) == 0:
        kind = name.partition("_")[2]
        raise TypeError(f"{name} must be a non-empty str or the {kind} itself, not {value!r}")
    return value


cdef int64_t seconds_ns(object value, str name) except -1:
    if isinstance(value, (bool, str, bytes)) or not hasattr(type(value), "__float__"):
        raise TypeError(f"{name} must be a number of seconds or None, not {value!r}")
    try:
        seconds = float(value)
    except OverflowError:
        seconds = float("inf")
    if not 1e-9 <= seconds <= 1e9:
        raise ValueError(f"{name} must be more than 0 and at most 1e9 seconds, not {value!r}")
    return <int64_t>(seconds * 1e9)


cdef bint add_accepted(object error, Py_ssize_t before) except -1:
    """An error ends a put_many that had put `before` items: have it say how many went in. True if the one that it came
    at did: a signal handler may raise as an item is let in (see wait_put)."""
    cdef dict facts = vars(error)
    cdef bint last = facts.get("accepted") is True
    facts["accepted"] = before + last
    return last


cdef class Edge(WaitingQueue):
    """A typed, bounded, thread-safe queue from one port to another.

    capacity: items it holds; max_bytes: bytes it holds, as sizeof(payload) counts them (default: len); ttl_s: seconds
    after which an item is not delivered but counted as expired; control_capacity: CONTROL messages, in a lane of their
    own that overtakes the data and takes no room from it. spec: a PortSpec whose schema the payloads must match.
    default_policy: what happens to a newcomer on a full edge, Block() if None. The ends are names, or the nodes and
    ports that bear them.

    Messages and raw values may be put; a bare None is not an item. Raises ValueError or TypeError, naming the argument,
    for bounds and policies that are none.
    """

    def __cinit__(
        self, source_node, source_port, target_node, target_port, capacity=1024, spec=None, default_policy=None, *,
        max_bytes=None, ttl_s=None, control_capacity=64, **others,
    ):
        size_of = others.pop("sizeof", None)    # a keyword of Cython's, so it cannot be named above
        if others:
            raise TypeError(f"Edge() got an unexpected keyword argument {next(iter(others))!r}")
        source_node, target_node = name_of(source_node, "source_node"), name_of(target_node, "target_node")
        source_port, target_port = name_of(source_port, "source_port"), name_of(target_port, "target_port")
        if spec is not None and not isinstance(spec, PortSpec):
            raise TypeError(f"spec must be a PortSpec or None, not {spec!r}")
        if size_of is not None and not callable(size_of):
            raise TypeError(f"sizeof must be callable as sizeof(payload) or None, not {size_of!r}")
        self.limit = positive(capacity, "capacity")
        self.lane_limit = positive(control_capacity, "control_capacity")
        self.policy = Block() if default_policy is None else require_policy(default_policy, "default_policy")
        self.policy_kind = kind_of(self.policy)
        self.spec = spec
        self.clock = SYSTEM_CLOCK
        self.size_of = size_of
        self.ttl_s = ttl_s
        self.data = new_ring(8)
        self.lane = new_ring(1)
        if max_bytes is not None:
            self.byte_limit = positive(max_bytes, "max_bytes")
        if max_bytes is not None or size_of is not None:
            self.special |= BYTES
        if ttl_s is not None:
            self.ttl_ns = seconds_ns(ttl_s, "ttl_s")
            self.special |= TTL
        if self.policy_kind == POLICY_COALESCE and (<Coalesce>self.policy).key is not None:
            self.special |= KEYED
            self.index = new_index(self.data.size())
        if self.policy_kind == POLICY_CUSTOM:
            self.special |= ASKED
        self.wraps = bool(self.special & (BYTES | TTL | KEYED))
        self.source_port = PyUnicode_FromObject(source_port)     # not a StrEnum, or another subclass
        self.target_port = PyUnicode_FromObject(target_port)
        self._relocate(PyUnicode_FromObject(source_node), PyUnicode_FromObject(target_node))

    def _relocate(self, str source_node, str target_node):
        """Name the ends by their full paths, as the graph that now holds the edge sees them."""
        self.source_node = source_node
        self.target_node = target_node
        self.id = f"{source_node}:{self.source_port}->{target_node}:{self.target_port}"

    def _use_clock(self, Clock clock):
        """For tests of time to live: another source of time, before anything is put."""
        self.clock = clock

    def _carry(self, bint wanted):
        """Let what is put from here on take the context of its putter along, or not."""
        acquire(self.mu)
        self.special = self.special | CARRIES if wanted else self.special & ~CARRIES
        self.unlock()

    def __class_getitem__(cls, item):
        """Edge[int] in annotations is Edge."""
        return cls

    def __repr__(self):
        if not self.special & FORKED:   # an edge of the parent's run can be shown, and is left as it was
            self.expire_now()
        return f"<Edge {self.id} {self.depth_peek()}/{self.capacity}>"

    # ---------------------------------------------------------------------------------------- what it is

    @property
    def capacity(self):
        """Data items the edge holds at most."""
        return self.limit

    @property
    def default_policy(self):
        """What happens to a newcomer on a full edge."""
        return self.policy

    @property
    def max_bytes(self):
        """Bytes of data the edge holds at most, as `sizeof` counts them, or None."""
        return self.byte_limit or None

    @property
    def control_capacity(self):
        """CONTROL messages the edge holds at most."""
        return self.lane_limit

    @property
    def closed(self):
        """True once close() was called: nothing more goes in."""
        return bool(self.special & CLOSED)

    def depth(self):
        """Items here now, control messages included."""
        refuse_forked(self)
        self.expire_now()
        return self.depth_peek()

    def is_empty(self):
        """True if there is nothing to get."""
        return self.depth() == 0

    def is_full(self):
        """True if the data is full, by items or by bytes (the control lane does not count)."""
        refuse_forked(self)
        self.expire_now()
        return self.data.count >= self.limit or (self.byte_limit > 0 and self.bytes >= self.byte_limit)

    def stats(self):
        """Counts of one moment, an EdgeStats: offered = delivered + dropped + replaced + coalesced + expired + depth +
        undelivered."""
        cdef Counts counts
        cdef Py_ssize_t data, lane, held_bytes, limit
        cdef int64_t handed
        refuse_forked(self)
        self.expire_now()
        acquire(self.mu)
        counts = self.counts
        counts.blocked_ns = self.blocked_ns()
        handed = self.in_batch_handed()
        counts.delivered += handed
        data = self.data.count - handed
        lane = self.lane.count
        held_bytes = self.bytes
        limit = self.limit
        self.unlock()
        return EdgeStats(
            offered=counts.offered, delivered=counts.delivered, dropped=counts.dropped, replaced=counts.replaced,
            coalesced=counts.coalesced, expired=counts.expired, undelivered=counts.undelivered, depth=data + lane,
            control_depth=lane, peak_depth=counts.peak_depth, capacity=limit, bytes=held_bytes, blocked=counts.blocked,
            blocked_s=counts.blocked_ns / 1e9,
            enqueued=counts.offered - counts.coalesced - (counts.dropped - counts.dropped_queued),
            dropped_closed=counts.dropped_closed, dropped_error=counts.dropped_error,
            merge_errors=counts.merge_errors,
        )

    # ---------------------------------------------------------------------------------------- what comes in

    @cython.binding(False)
    @cython.embedsignature(True)
    @cython.embedsignature.format('clinic')
    def try_put(self, item, policy=None):
        """Put without waiting; returns a PutResult (BLOCKED: refused, the item stays yours).

        policy: for this put alone, instead of the edge's own; a Coalesce with a key cannot be one, and a keyed edge
        takes none. Raises SchemaError, ValueError for an item larger than max_bytes, EdgeClosed."""
        cdef int answer
        cdef object held
        if policy is not None:
            self.check_put_policy(policy)
        if policy is None and not self.wraps and self.spec is None and item is not None and not is_control(item):
            if self.put_plain(item):        # nothing to check, nothing to wrap
                return OK
        held = self.prepare(item)
        if policy is None and self.spec is not None and not self.wraps and not is_control(item):
            if self.put_plain(held):
                return OK
        answer = self.offer(held, is_control(item), policy, NULL, False, True)
        if answer == ANSWER_CLOSED:
            raise closed_error(self, ": it takes no more items")
        return put_result(answer)

    cdef int check_put_policy(self, object policy) except -1:
        require_policy(policy, "policy")
        if self.index is not None:
            raise ValueError(f"{self.id} conflates by key: every put must use the edge's own policy, not {policy!r}")
        if isinstance(policy, Coalesce) and (<Coalesce>policy).key is not None:
            raise ValueError("a Coalesce with a key works only as an edge's own policy: give it to connect() or Edge()")
        return 0

    def put(self, item, timeout=None):
        """Put, waiting up to `timeout` seconds (None: for ever) while a Block edge is full; returns a PutResult.

        Raises TimeoutError (the item stays yours), EdgeClosed, SchemaError, ValueError for an item larger than
        max_bytes or a negative timeout, SchedulerStateError where it would wait on a worker thread of the edge's own
        scheduler."""
        cdef int64_t limit = timeout_ns_of(timeout)
        cdef object held = self.prepare(item)
        cdef bint control = is_control(item)
        cdef int answer = self.offer(held, control, None, NULL, False, True)
        if answer == VERDICT_BLOCKED:
            answer = self.wait_put(held, control, limit)
        if answer == ANSWER_CLOSED:
            raise closed_error(self, ": it takes no more items")
        return put_result(answer)

    def put_many(self, items, timeout=None):
        """Put items in order, waiting up to `timeout` seconds in all; returns how many were accepted, a prefix.

        Of what has a length: raises, before anything is put, what put() raises for a wrong item; EdgeClosed if closed
        before the first. (It is read whole, so give what makes its items as it goes by an iterator.)

        Of an iterator, or anything without a length: one item is read at a time, when the one before is in, and where
        one is not accepted it raises, as put() does (TimeoutError, EdgeClosed, SchemaError, ...): `error.item` is that
        item, `error.accepted` how many went in, and the iterator can be gone on with."""
        cdef int64_t limit = timeout_ns_of(timeout)
        cdef int64_t until = self.clock.now_ns() + limit
        cdef Py_ssize_t accepted = 0
        cdef int answer
        check_iterable("items", items)
        if not hasattr(type(items), "__len__"):
            return put_each(self, items, limit, until)
        cdef list pending = [self.prepare(item) for item in items]
        cdef bint plain = not any(is_control(held) for held in pending)
        while accepted < len(pending):
            if plain:
                accepted += self.put_some(pending, accepted)
                if accepted == len(pending):
                    break
            try:
                answer = self.put_prepared(
                    pending[accepted], limit if limit <= 0 else max(0, until - self.clock.now_ns()))
            except BaseException as error:
                add_accepted(error, accepted)
                raise
            if answer == ANSWER_CLOSED and accepted == 0:
                raise closed_error(self, ": it takes no more items")
            if answer == ANSWER_CLOSED or answer == VERDICT_BLOCKED:
                break
            accepted += 1
        return accepted

    # ---------------------------------------------------------------------------------------- what goes out

    @cython.binding(False)
    @cython.embedsignature(True)
    @cython.embedsignature.format('clinic')
    def try_get(self):
        """The next item, control messages first, or None if there is none."""
        item = self.take_plain() if not self.wraps else None
        if item is not None:
            return item
        refuse_forked(self)
        return self.take_any(NULL)

    def get(self, timeout=None):
        """The next item, waiting up to `timeout` seconds (None: for ever).

        Raises TimeoutError, EdgeClosed (closed and empty), SchedulerStateError where it would wait on a worker thread
        of the edge's own scheduler."""
        cdef int64_t limit = timeout_ns_of(timeout)
        refuse_forked(self)
        item = self.take_any(NULL)
        return item if item is not None else self.wait_get(limit)

    def get_many(self, max, timeout=0):
        """Up to `max` items in order: waits up to `timeout` seconds for the first, then takes what is there.

        Returns an empty list when the time is up. Raises EdgeClosed (closed and empty)."""
        cdef Py_ssize_t most = positive(max, "max")
        cdef int64_t limit = timeout_ns_of(timeout)
        refuse_forked(self)
        cdef list items = self.take_some(most)
        cdef list more = items
        while 0 < len(items) < most and more:
            more = self.take_some(most - len(items))
            items += more
        items = items or self.take_many(most)
        if items:
            return items
        try:
            items = [self.wait_get(limit)]
        except TimeoutError:
            return []
        return items + self.take_many(most - 1)

    def close(self):
        """Take no more items: waiting puts raise EdgeClosed; what is queued can still be taken, then gets raise it
        too."""
        refuse_forked(self)
        self.shut()

    def set_capacity(self, capacity):
        """Change the capacity: more room is handed out at once; with less nothing is lost, the edge is over-full until
        it drains. Raises ValueError or TypeError."""
        refuse_forked(self)
        self.resize(positive(capacity, "capacity"))


cdef Py_ssize_t put_each(Edge edge, object items, int64_t limit, int64_t until) except -1:
    """Put what comes, one by one: what was read is in, or is the `item` of the error. An error of the iterator's own
    says how many were accepted as well."""
    cdef Py_ssize_t accepted = 0
    try:
        for item in items:
            try:
                put_one(edge, item, limit if limit <= 0 else max(0, until - edge.clock.now_ns()), limit)
            except BaseException as error:
                if not add_accepted(error, accepted):
                    vars(error)["item"] = item
                raise
            accepted += 1
    except BaseException as error:
        vars(error).setdefault("accepted", accepted)
        raise
    return accepted


cdef int put_one(Edge edge, object item, int64_t rest, int64_t limit) except -1:
    """Put an item, waiting up to `rest` ns of the `limit` that all have."""
    cdef int answer = edge.put_prepared(edge.prepare(item), rest)
    if answer == ANSWER_CLOSED:
        raise closed_error(edge, ": it takes no more items")
    if answer == VERDICT_BLOCKED:
        raise TimeoutError(f"{edge.id} was full when {limit / 1e9:g} s had passed; error.item was not put")
    return 0
