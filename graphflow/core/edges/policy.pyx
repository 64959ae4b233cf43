# What happens to a newcomer on a full edge.
#
# The four built-in policies are a kind that the edge switches on in C; their on_enqueue is the same rule in Python, for
# reading and for users' policies to build on. A user's policy is any object with on_enqueue; it is asked with no lock
# held, so its answer is advice about a moment ago and the edge still checks its bounds.

import enum

from graphflow.core.messages.unawaited cimport refuse_awaitable

from typing import Protocol, runtime_checkable

from graphflow.base.arguments import brief


class PutResult(enum.Enum):
    """What became of a put or an emit. Every member is truthy: compare, do not test."""

    OK = "ok"                   #: accepted
    BLOCKED = "blocked"         #: refused, the caller keeps the item (edges only)
    DROPPED = "dropped"         #: the newcomer was discarded
    REPLACED = "replaced"       #: accepted, and an older item was discarded
    COALESCED = "coalesced"     #: merged into a queued item
    DEFERRED = "deferred"       #: accepted by the node's outbox, delivered when there is room (emit only)


cdef tuple RESULTS = (
    PutResult.OK, PutResult.COALESCED, PutResult.REPLACED, PutResult.DROPPED, PutResult.DEFERRED, PutResult.BLOCKED,
)


cdef object put_result(int verdict):
    return <object>RESULTS[verdict]


@runtime_checkable
class Policy(Protocol):
    """What an edge asks of an overflow policy."""

    def on_enqueue(self, capacity, size, item):
        """Say what becomes of `item` on an edge that holds `size` of `capacity` items: OK, BLOCKED, DROPPED or
        REPLACED (the oldest item makes way). OK on a full edge is BLOCKED all the same."""


cdef class BuiltinPolicy:
    """Base of the built-in policies."""

    def __repr__(self):
        return f"{type(self).__name__}()"

    def __eq__(self, other):
        return type(self) is type(other)

    def __hash__(self):
        return hash(type(self))

    def __reduce__(self):
        return type(self), ()


cdef class Block(BuiltinPolicy):
    """A full edge refuses the newcomer: nothing is lost, producers wait."""

    def __cinit__(self):
        self.kind = POLICY_BLOCK

    def __init__(self):
        """Take no arguments: a __cinit__ without any ignores what it is given."""

    def on_enqueue(self, capacity, size, item):
        """OK while there is room, else BLOCKED."""
        return PutResult.OK if size < capacity else PutResult.BLOCKED


cdef class Drop(BuiltinPolicy):
    """A full edge discards the newcomer."""

    def __cinit__(self):
        self.kind = POLICY_DROP

    def __init__(self):
        """Take no arguments: a __cinit__ without any ignores what it is given."""

    def on_enqueue(self, capacity, size, item):
        """OK while there is room, else DROPPED."""
        return PutResult.OK if size < capacity else PutResult.DROPPED


cdef class Latest(BuiltinPolicy):
    """A full edge discards its oldest item: it holds the newest `capacity` items, in order."""

    def __cinit__(self):
        self.kind = POLICY_LATEST

    def __init__(self):
        """Take no arguments: a __cinit__ without any ignores what it is given."""

    def on_enqueue(self, capacity, size, item):
        """OK while there is room, else REPLACED."""
        return PutResult.OK if size < capacity else PutResult.REPLACED


cdef class Coalesce(BuiltinPolicy):
    """A full edge merges the newcomer into its newest item; with a key, always into the queued item of the same key.

    fn(old, new) gets payloads and returns the merged payload. It runs with no lock held and may run more than once for
    one put, so it must be pure. key(payload) returns a hashable value; with it the edge holds at most one item a key.
    If fn raises, the error is logged and counted and the newcomer takes the item's place.

    Raises TypeError if fn or key cannot be called.
    """

    def __cinit__(self, fn, key=None):
        if not callable(fn):
            raise TypeError(f"fn must be callable as fn(old, new), not {fn!r}")
        if key is not None and not callable(key):
            raise TypeError(f"key must be callable as key(payload) or None, not {key!r}")
        self.kind = POLICY_COALESCE
        self.fn = fn
        self.key = key

    def on_enqueue(self, capacity, size, item):
        """OK while there is room, else COALESCED, which no policy of your own may answer: the edge merges."""
        return PutResult.OK if size < capacity else PutResult.COALESCED

    def __repr__(self):
        return f"Coalesce({self.fn!r})" if self.key is None else f"Coalesce({self.fn!r}, key={self.key!r})"

    def __eq__(self, other):
        if type(other) is not Coalesce:
            return NotImplemented
        return self.fn == (<Coalesce>other).fn and self.key == (<Coalesce>other).key

    def __hash__(self):
        return hash((Coalesce, self.fn, self.key))

    def __reduce__(self):
        return Coalesce, (self.fn, self.key)


cdef PolicyKind kind_of(object policy) except *:
    return (<BuiltinPolicy>policy).kind if isinstance(policy, BuiltinPolicy) else POLICY_CUSTOM


cdef object require_policy(object policy, str argument):
    """`policy` itself, or TypeError naming the argument."""
    if isinstance(policy, type) or not callable(getattr(policy, "on_enqueue", None)):
        raise TypeError(
            f"{argument} must be a policy (Block(), Drop(), Latest(), Coalesce(fn), or an object with "
            f"on_enqueue(capacity, size, item)), not {policy!r}"
        )
    return policy


def check_policy(policy, argument):
    """`policy` itself, or TypeError naming the argument."""
    return require_policy(policy, argument)


cdef int ask(object policy, Py_ssize_t capacity, Py_ssize_t size, object item) except -1:
    """The verdict of a user's policy; TypeError for an answer that is none."""
    answer = policy.on_enqueue(capacity, size, item)
    if answer is PutResult.OK:
        return VERDICT_OK
    if answer is PutResult.BLOCKED:
        return VERDICT_BLOCKED
    if answer is PutResult.DROPPED:
        return VERDICT_DROPPED
    if answer is PutResult.REPLACED:
        return VERDICT_REPLACED
    refuse_awaitable(answer, f"{policy!r}.on_enqueue")
    raise TypeError(
        f"{policy!r}.on_enqueue answered {brief(answer)}; allowed are PutResult.OK, BLOCKED, DROPPED and REPLACED"
    )


def block():
    """The same as Block()."""
    return Block()


def drop():
    """The same as Drop()."""
    return Drop()


def latest():
    """The same as Latest()."""
    return Latest()


def coalesce(fn, key=None):
    """The same as Coalesce(fn, key)."""
    return Coalesce(fn, key)
