# Coalesce: merging a newcomer into an item that is already queued.
#
# The user's merge function must not run under the queue's lock (it may be slow, raise, or use this very edge), and the
# item must stay takeable meanwhile. So: look (which item?), unlock, merge, lock, and commit only if that item still
# lies where it did; if it was taken the newcomer starts afresh, if another putter merged into it first the merge is
# done again with the new item. Entries and messages are never changed once queued, so identity tells "unchanged".
#
# A putter that has lost eight such rounds claims the item: it then counts as not takeable (CLAIMED) until the merge is
# committed, so every putter gets through however fast the others are. One claim a queue. Whoever meets another's claim
# yields for a while, or waits if it may; whoever meets its own thread's (a merge function that puts to its own edge) is
# refused, as is any put or get inside a merge function that would have to wait (Context.asking).
#
# Which queued item has the newcomer's key is found the same way: the index gives the items of equal hash, a key object
# that is identical is equal, and any other is compared with no lock held, after which the look is repeated with what
# was learnt (`alias` equal, `distinct` not).

import logging

from cpython.list cimport PyList_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int64_t

from graphflow.core.edges.contents cimport (
    ANSWER_CLOSED,
    ANSWER_EXPIRE,
    ANSWER_GROW,
    ANSWER_WAIT,
    CLAIMED,
    CLOSED,
    KEYED,
    ROOM_WANTED,
)
from graphflow.core.edges.ends cimport News, no_news, tell
from graphflow.core.edges.policy cimport (
    VERDICT_COALESCED,
    VERDICT_OK,
    VERDICT_REPLACED,
    Coalesce,
)
from graphflow.core.edges.queue cimport EdgeQueue, unwrap
from graphflow.core.edges.ring cimport list_items
from graphflow.core.edges.slot cimport Entry
from graphflow.core.messages.message cimport KIND_ERROR, Message
from graphflow.core.messages.unawaited cimport awaitable, refuse_awaitable
from graphflow.core.sync.lock cimport acquire
from graphflow.core.sync.mutants cimport planted
from graphflow.core.sync.parking cimport Wait
from graphflow.core.sync.thread_state cimport here

from graphflow.base.errors import SchemaError
from graphflow.base.events import say

cdef extern from "pythread.h":
    unsigned long PyThread_get_thread_ident() nogil

cdef extern from "sched.h" nogil:
    int sched_yield()

cdef enum:
    ROUNDS_BEFORE_CLAIM = 8
    ROUNDS_AT_MOST = 1000       # yields to another's claim before an offer that cannot wait is refused
    # answers of look(), beside the verdicts
    LOOK_COMPARE = 80           # a key must be compared
    LOOK_MERGE = 81             # a merge must be made with `target`
    LOOK_YIELD = 82             # another putter has claimed the item

log = logging.getLogger("graphflow.edge")


cdef class Attempt:
    """One put that merges: what it has found out so far. Lives on the frame of that put."""

    cdef object held            # the newcomer, as prepared
    cdef object alias           # key object of a queued item, known equal to ours
    cdef list distinct          # queued key objects known to differ
    cdef object candidate       # key to compare next
    cdef object target          # item to merge into
    cdef object merged          # the merge of `target` and the newcomer
    cdef object merged_from     # the target it was made from
    cdef bint failed            # the merge raised: `merged` is the newcomer itself
    cdef bint ours              # we hold the queue's claim
    cdef int rounds
    cdef Wait* wait
    cdef bint want_room


cdef int conflate(EdgeQueue queue, object held, object policy, Wait* wait, bint want_room, bint strict) except -1:
    """Offer a newcomer by a Coalesce policy; answers as EdgeQueue.enter does. `strict`: a merged payload that breaks
    the schema raises, else it counts as a failed merge."""
    cdef Attempt attempt = Attempt()
    cdef News news
    cdef int answer
    cdef bint starved = False
    attempt.held = held
    attempt.wait = wait
    attempt.want_room = want_room
    attempt.distinct = []
    no_news(&news)
    try:
        while True:
            answer = look(queue, attempt, &news, &starved)
            if answer == ANSWER_GROW:
                queue.grow(False)
            elif answer == ANSWER_EXPIRE:
                queue.expire()
            elif answer == LOOK_COMPARE:
                here().asking += 1
                try:
                    equal = bool(attempt.candidate == (<Entry>held).key)
                finally:
                    here().asking -= 1
                if equal:
                    attempt.alias = attempt.candidate
                else:
                    attempt.distinct.append(attempt.candidate)
            elif answer == LOOK_MERGE:
                merge(queue, attempt, policy, strict)
            elif answer == LOOK_YIELD:
                with nogil:
                    sched_yield()
            else:
                break
    finally:
        if attempt.ours:
            release_claim(queue, attempt)
        if starved:
            queue.settle()
        tell(&news)
    return answer


cdef int look(EdgeQueue queue, Attempt attempt, News* news, bint* starved) except -1:
    """One critical section: finish, or say what must be done first."""
    cdef PyObject* mine = <PyObject*>attempt.held
    cdef PyObject* learnt = NULL
    cdef Py_ssize_t position = -1
    cdef int answer = VERDICT_OK
    cdef Py_ssize_t size = (<Entry>attempt.held).size if queue.wraps else 0
    Py_INCREF(attempt.held)
    acquire(queue.mu)
    if queue.special & CLOSED:
        answer = ANSWER_CLOSED
    elif queue.overdue():
        answer = ANSWER_EXPIRE
    elif queue.special & KEYED:
        position = find(queue, attempt, &learnt)
        if learnt != NULL:
            answer = LOOK_COMPARE
    elif not queue.fits(size) and queue.data.count > 0:
        position = queue.data.count - 1
    if answer != VERDICT_OK:
        pass
    elif position >= 0:
        answer = settle_with(queue, attempt, position, &learnt, news, starved)
    elif queue.fits(size) and not queue.behind_others(attempt.wait) and not (
        attempt.wait != NULL and attempt.wait.merge_only
    ):
        if queue.data.count > queue.data.mask:
            answer = ANSWER_GROW
        else:
            queue.store(&mine, size, news)
    else:
        answer = queue.refuse(attempt.wait, attempt.want_room, False)
    if answer <= ANSWER_WAIT:
        queue.came_back(attempt.wait, answer)
    queue.unlock()
    Py_DECREF(<object>mine)
    if learnt != NULL:
        if answer == LOOK_COMPARE:
            attempt.candidate = <object>learnt
        else:
            attempt.target = <object>learnt
        Py_DECREF(<object>learnt)
    return answer


cdef Py_ssize_t find(EdgeQueue queue, Attempt attempt, PyObject** learnt) noexcept:
    """Under the lock: position of the queued item with our key, -1 for none; or `learnt` is a key to compare (counted
    up, which runs nothing)."""
    cdef Entry mine = <Entry>attempt.held
    cdef int64_t sequence = queue.index.first(mine.hash)
    cdef PyObject* entry
    cdef PyObject* key
    while sequence >= queue.head_sequence:
        entry = queue.data.at(sequence - queue.head_sequence)[0]
        if (<Entry>entry).hash == mine.hash:
            key = <PyObject*>(<Entry>entry).key
            if key == <PyObject*>mine.key or key == <PyObject*>attempt.alias:
                return sequence - queue.head_sequence
            if not known_distinct(attempt.distinct, key):
                learnt[0] = key
                Py_INCREF(<object>key)
                return -1
        sequence = queue.index.after(sequence)
    return -1


cdef bint known_distinct(list distinct, PyObject* key) noexcept:
    cdef Py_ssize_t place
    for place in range(PyList_GET_SIZE(distinct)):
        if list_items(distinct)[place] == key:
            return True
    return False


cdef int settle_with(
    EdgeQueue queue, Attempt attempt, Py_ssize_t position, PyObject** target, News* news, bint* starved
) noexcept:
    """Under the lock: commit a merge with the item at `position`, or say what is missing."""
    cdef PyObject** slot = queue.data.at(position)
    if position < queue.batch:      # all that is here is in the consumer's hands
        return queue.refuse(attempt.wait, attempt.want_room, False)
    if queue.claim == slot[0] and not attempt.ours:
        attempt.rounds += 1
        if queue.claim_thread == PyThread_get_thread_ident():
            return queue.refuse(NULL, attempt.want_room, False)
        if attempt.wait != NULL or attempt.rounds > ROUNDS_AT_MOST:
            return queue.await_claim(attempt.wait, attempt.want_room)
        return LOOK_YIELD
    if <PyObject*>attempt.merged_from == slot[0] and attempt.merged is not None:
        return commit(queue, attempt, slot, news, starved)
    attempt.rounds += 1
    if attempt.rounds > ROUNDS_BEFORE_CLAIM and queue.claim == NULL:
        queue.claim = slot[0]
        queue.claim_thread = PyThread_get_thread_ident()
        queue.special |= CLAIMED
        attempt.ours = True
    target[0] = slot[0]
    Py_INCREF(<object>slot[0])
    return LOOK_MERGE


cdef int commit(EdgeQueue queue, Attempt attempt, PyObject** slot, News* news, bint* starved) noexcept:
    """Under the lock: swap the merged item for the queued one, if it fits."""
    cdef Py_ssize_t change = 0
    if queue.wraps:
        change = (<Entry>attempt.merged).size - (<Entry>slot[0]).size
        if queue.byte_limit > 0 and change > 0 and change > queue.byte_limit - queue.bytes:
            return queue.refuse(attempt.wait, attempt.want_room, False)
    swap_merged(attempt, slot)
    queue.bytes += max(change, 0) if planted("merged bytes kept") else change
    queue.counts.offered += 1
    if attempt.failed:
        queue.counts.replaced += 1
    else:
        queue.counts.coalesced += 1
    if change < 0:
        queue.room_made(news)
        starved[0] = queue.starved()
    return VERDICT_REPLACED if attempt.failed else VERDICT_COALESCED


cdef extern from *:
    """
    #define GF_SWAP_MERGED(attempt, slot) std::swap((attempt)->merged, *(slot))
    """
    void swap_merged "GF_SWAP_MERGED" (Attempt attempt, PyObject** slot) noexcept


cdef int merge(EdgeQueue queue, Attempt attempt, object policy, bint strict) except -1:
    """With no lock held: make attempt.merged from attempt.target and the newcomer."""
    cdef object old = unwrap(queue, attempt.target)
    cdef object new = unwrap(queue, attempt.held)
    cdef object item = new
    attempt.failed = False
    try:
        here().asking += 1
        try:
            payload = (<Coalesce>policy).fn(payload_of(old), payload_of(new))
        finally:
            here().asking -= 1
        if awaitable(payload):      # first: to say whose it is costs more than a merge
            refuse_awaitable(payload, f"the merge function {(<Coalesce>policy).fn!r}")
        if queue.spec is not None and not is_error(new) and not queue.spec.accepts(payload):
            raise SchemaError(
                f"the merge function {(<Coalesce>policy).fn!r} returned a payload of type "
                f"{type(payload).__name__}, which does not match the schema {queue.spec.schema!r}; return one of the "
                f"edge's schema"
            )
        item = (<Message>new).with_payload(payload) if isinstance(new, Message) else payload
        if item is None:
            raise TypeError(f"the merge function {(<Coalesce>policy).fn!r} returned None, which is not an item")
        attempt.merged = rewrap(queue, attempt, item, payload)
    except Exception as error:
        if strict and isinstance(error, SchemaError):
            raise
        failed_merge(queue, policy, error)
        attempt.failed = True
        attempt.merged = rewrap(queue, attempt, new, payload_of(new))
    attempt.merged_from = attempt.target
    return 0


cdef bint is_error(object item) noexcept:
    return type(item) is Message and (<Message>item).kind == KIND_ERROR


cdef object payload_of(object item):
    return (<Message>item).payload if isinstance(item, Message) else item


cdef object rewrap(EdgeQueue queue, Attempt attempt, object item, object payload):
    """The slot content for a merged item: the newcomer's age, its own size, the queued item's key."""
    cdef Entry entry
    if not queue.wraps:
        return item
    entry = Entry()
    entry.item = item
    entry.stamp_ns = (<Entry>attempt.held).stamp_ns
    entry.size = queue.measure(payload, False)
    entry.key = (<Entry>attempt.target).key
    entry.hash = (<Entry>attempt.target).hash
    return entry


cdef int failed_merge(EdgeQueue queue, object policy, object error) except -1:
    acquire(queue.mu)
    queue.counts.merge_errors += 1
    queue.unlock()
    say(
        log, "merge_error", "%s: the merge function %r raised; the newcomer takes the item's place",
        queue.id, policy.fn, exc_info=error, edge_id=queue.id,
    )
    return 0


cdef int release_claim(EdgeQueue queue, Attempt attempt) except -1:
    """The claimed item is takeable again: whoever saw the queue as empty is told."""
    cdef News news
    no_news(&news)
    acquire(queue.mu)
    queue.claim = NULL
    queue.show_claims()
    attempt.ours = False
    if queue.takeable():
        queue.arrival(&news)
    if queue.special & KEYED and queue.ttl_ns > 0:
        queue.next_expiry_ns = 0            # the item may have expired while it was claimed
    if queue.special & ROOM_WANTED:         # a newcomer that was to evict the claimed item
        queue.special &= ~ROOM_WANTED
        queue.want_producer(&news)
    queue.call_back(queue.claim_waiters.first)
    queue.room_made(&news)
    return queue.unlock_and_tell(&news)
