from typing import Any

from graphflow.core.message import Message
from graphflow.core.policy import PutResult

class NodeBase:
    """Base of Node; use Node."""

    def emit(self, port: str, value: Message | Any) -> PutResult:
        """Send a message or a payload from an output port to every edge there; returns a PutResult."""

    def is_live(self) -> bool:
        """True while the node is part of a run."""
