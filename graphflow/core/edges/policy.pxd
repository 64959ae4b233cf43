cdef enum PolicyKind:
    POLICY_BLOCK
    POLICY_DROP
    POLICY_LATEST
    POLICY_COALESCE
    POLICY_CUSTOM       # a user's object with on_enqueue

cdef enum Verdict:
    # What became of a put. The order is the strength over a fan-out (see `strongest`); BLOCKED never leaves an emit.
    VERDICT_OK
    VERDICT_COALESCED
    VERDICT_REPLACED
    VERDICT_DROPPED
    VERDICT_DEFERRED
    VERDICT_BLOCKED

cdef class BuiltinPolicy:
    cdef PolicyKind kind

cdef class Coalesce(BuiltinPolicy):
    cdef readonly object fn
    cdef readonly object key

cdef PolicyKind kind_of(object policy) except *
cdef object require_policy(object policy, str argument)
cdef object put_result(int verdict)
cdef int ask(object policy, Py_ssize_t capacity, Py_ssize_t size, object item) except -1
