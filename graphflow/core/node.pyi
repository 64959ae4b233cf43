from typing import Any

from graphflow.core.message import Message
from graphflow.core.policy import PutResult

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
        """True while the node is part of a run."""
