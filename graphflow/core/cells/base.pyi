from typing import Any

from graphflow.core.edges.policy import PutResult
from graphflow.core.messages.message import Message

class NodeBase:
    """Base of Node; use Node."""

    def emit(self, port: str, value: Message | Any) -> PutResult:
        """Send a message or a payload from an output port to every edge there; returns a PutResult.

        Never waits and never loses: what finds no room is kept in the node's outbox (DEFERRED: accepted; return now),
        up to `outbox_limit`. A payload inherits the headers of the message being handled. Over several edges the answer
        is the strongest of DEFERRED, DROPPED, REPLACED, COALESCED, OK. In a node that retries, or runs several messages
        at once, the answer is OK and the message is sent when the hook has returned.

        Raises, and then sends nothing: SchemaError, ValueError (larger than an edge's max_bytes), BackpressureError
        (the outbox is full), GraphValidationError (no such port), TypeError (None), SchedulerStateError (not from a
        running hook of this very node, or from on_stop).
        """

    def is_live(self) -> bool:
        """True while the node is part of a run, and is to go on: from the moment a drain or a stop is asked for (or the
        graph begins to drain by itself) it is False. So it is for a stopped node, and for a source whose outputs are
        all closed. For any thread.
        """

    def sleep(self, seconds: float) -> bool:
        """Rest for so many seconds (True), or until the node is to end, which is_live() tells as well (False, at once;
        so it is in on_drain and on_stop). For sources that poll, and for handlers: `while self.sleep(1.0): ...`

        It holds the worker, and whatever waits for it: give a source that rests for long `dedicated = True`. Pausing
        the node does not cut a rest short.

        Raises SchedulerStateError outside the node's own running hook, and in a node with async hooks (there await
        asyncio.sleep(), which the end of the run cuts short in produce()); TypeError, ValueError or OverflowError for
        what is no number of seconds.
        """

    buffered: int
    """Messages that the node has taken and still holds, such as rows it has not written; 0 unless the node sets it.

    What is left when the run has ended is in the report (`held_back`), which then is not complete. It is the node's
    own: nothing but the node changes it, also between two runs.
    """
