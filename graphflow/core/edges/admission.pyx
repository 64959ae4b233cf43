# What comes into an edge: checked, wrapped, and offered by the policy that applies. Nothing here holds a lock.

from graphflow.core.edges.attachment cimport LeasedQueue
from graphflow.core.edges.coalesce cimport conflate
from graphflow.core.edges.contents cimport BYTES, CARRIES, PUTTERS
from graphflow.core.edges.policy cimport (
    POLICY_BLOCK,
    POLICY_COALESCE,
    POLICY_CUSTOM,
    POLICY_LATEST,
    VERDICT_DROPPED,
    VERDICT_OK,
    VERDICT_REPLACED,
    Coalesce,
    PolicyKind,
    ask,
    kind_of,
)
from graphflow.core.edges.slot cimport Entry
from graphflow.core.messages.context_vars cimport carry
from graphflow.core.messages.message cimport KIND_CONTROL, KIND_ERROR, Message
from graphflow.core.messages.unawaited cimport awaitable, refuse_awaitable
from graphflow.core.sync.parking cimport Wait
from graphflow.core.sync.thread_state cimport here

from graphflow.base.errors import SchemaError

cdef Py_ssize_t LARGEST_ITEM = 2**40     # bytes, where no max_bytes bounds the sum: so many do not fit into memory


cdef class CheckedQueue(LeasedQueue):
    """An edge's queue that knows what may come in, and by which policy."""

    cdef object prepare(self, object item):
        """Check an item and give what is stored for it; raises what the user is to see, and changes nothing."""
        cdef Entry entry
        cdef object payload
        if self.special & CARRIES and item is not None:
            item = carry(item)
        if type(item) is Message:
            if (<Message>item).kind == KIND_CONTROL:
                return item
            payload = (<Message>item).payload
            if self.spec is not None and (<Message>item).kind != KIND_ERROR and not self.spec.accepts(payload):
                raise self.mismatch(payload)
        else:
            if item is None:
                raise TypeError(
                    f"{self.id}: a bare None is not an item; to send None put Message(MessageType.DATA, None)"
                )
            payload = item
            if self.spec is not None and not self.spec.accepts(payload):
                raise self.mismatch(payload)
        if not self.wraps:
            return item
        entry = Entry()
        entry.item = item
        if self.ttl_ns > 0:
            entry.stamp_ns = self.clock.now_ns()
        entry.size = self.measure(payload, True)
        if self.index is not None:
            entry.key = (<Coalesce>self.policy).key(payload)
            if awaitable(entry.key):
                refuse_awaitable(entry.key, f"{self.id}: the key function {(<Coalesce>self.policy).key!r}")
            entry.hash = hash(entry.key)
        return entry

    cdef object mismatch(self, object payload):
        return SchemaError(
            f"{self.id}: a payload of type {type(payload).__name__} does not match the schema "
            f"{self.spec.schema!r} of port {self.spec.name!r}"
        )

    cdef Py_ssize_t measure(self, object payload, bint bound) except -1:
        """Bytes of a payload, on an edge that counts them; `bound`: ValueError if it can never fit."""
        cdef Py_ssize_t size
        if not self.special & BYTES:
            return 0
        if self.size_of is not None:
            measured = self.size_of(payload)
            if awaitable(measured):
                refuse_awaitable(measured, f"{self.id}: sizeof {self.size_of!r}")
        elif hasattr(type(payload), "__len__"):
            measured = payload.nbytes if isinstance(payload, memoryview) else len(payload)
        else:
            raise TypeError(
                f"{self.id}: a {type(payload).__name__} has no len(); give the edge a sizeof(payload) for max_bytes"
            )
        if isinstance(measured, bool) or not hasattr(type(measured), "__index__"):
            raise TypeError(f"{self.id}: sizeof must return a whole number of bytes, not {measured!r}")
        number = measured.__index__()
        if number < 0 or (self.byte_limit == 0 and number > LARGEST_ITEM):
            raise ValueError(f"{self.id}: sizeof must return from 0 to 2**40 bytes, not {measured!r}")
        size = min(number, 2**62 + 1)
        if bound and self.byte_limit > 0 and size > self.byte_limit:
            raise ValueError(
                f"{self.id}: an item of {number} bytes can never fit: max_bytes is {self.byte_limit}"
            )
        return size

    cdef bint crowded(self, object held) noexcept:
        """A moment's look: might a Block or Coalesce edge refuse this item?"""
        return not self.fits((<Entry>held).size if self.wraps else 0) or self.special & PUTTERS != 0

    cdef int offer(
        self, object held, bint control, object policy, Wait* wait, bint want_room, bint strict
    ) except -1:
        """Offer what prepare() returned; `policy` None is the edge's own. Answers as EdgeQueue.enter does."""
        cdef PolicyKind kind = self.policy_kind
        if control:
            return self.enter(held, POLICY_BLOCK, False, True, wait, want_room)
        if policy is None:
            policy = self.policy
        else:
            kind = kind_of(policy)
        if kind == POLICY_COALESCE:
            return conflate(self, held, policy, wait, want_room, strict)
        if kind == POLICY_CUSTOM:
            return self.offer_custom(held, policy, wait, want_room)
        return self.enter(held, kind, False, False, wait, want_room)

    cdef int offer_custom(self, object held, object policy, Wait* wait, bint want_room) except -1:
        cdef object item = (<Entry>held).item if self.wraps else held
        cdef int verdict
        here().asking += 1
        try:
            verdict = ask(policy, self.limit, self.data.count, item)
        finally:
            here().asking -= 1
        if verdict == VERDICT_OK:
            return self.enter(held, POLICY_BLOCK, False, False, wait, want_room)
        if verdict == VERDICT_REPLACED:
            return self.enter(held, POLICY_LATEST, True, False, wait, want_room)
        return self.enter_not(verdict == VERDICT_DROPPED, wait, want_room)
