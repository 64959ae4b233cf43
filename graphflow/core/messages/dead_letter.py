"""A dead letter: the payload of the ERROR message that stands for one which failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graphflow.core.messages.message import Message


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """The payload of the ERROR message that `ErrorPolicy.dead_letter` emits."""

    message: Message | None
    """What was being handled, or what a source may not send; None for a tick, and for a source that has failed."""
    exception: BaseException
    """The error; the frames of its traceback are emptied, so that it holds nothing else."""
    traceback: str
    """The traceback as text."""
    node: str
    """Path of the node."""
    port: str | None
    """Input port that the message came in by; None for a tick or a source."""
    attempts: int
    """How often the handler was tried."""
