import enum
from collections.abc import Mapping
from typing import Any, final

from graphflow.core.messages.headers import Headers
from graphflow.core.sync.clock import Clock

class MessageType(enum.Enum):
    """What a message is for."""

    DATA = "data"
    """What is worked on."""
    CONTROL = "control"
    """Out of band: overtakes the data and is never dropped."""
    ERROR = "error"
    """Tells of an error: travels as data, without the schema."""

@final
class Message:
    """An immutable message: a type, a payload, headers, and metadata.

    `metadata` and `headers` are copied. `headers` may hold a `trace_id` (str) and a `timestamp`
    (seconds since the epoch) of the caller's, or a W3C `traceparent`, whose trace id is taken where
    none is given; given another message's headers, the two share their trace id. Raises TypeError or
    ValueError for arguments that are not as described.
    """

    def __init__(
        self,
        type: MessageType,
        payload: Any,
        metadata: Mapping[Any, Any] | None = None,
        headers: Mapping[str, Any] | None = None,
    ) -> None: ...
    @property
    def type(self) -> MessageType:
        """The MessageType."""

    @property
    def payload(self) -> Any:
        """What it carries."""

    @property
    def metadata(self) -> Mapping[Any, Any] | None:
        """None, or a read-only mapping."""

    @property
    def headers(self) -> Headers:
        """An immutable mapping: `trace_id`, `timestamp` and what was given."""

    def is_data(self) -> bool:
        """Say whether this is a DATA message."""

    def is_control(self) -> bool:
        """Say whether this is a CONTROL message."""

    def is_error(self) -> bool:
        """Say whether this is an ERROR message."""

    def get_trace_id(self) -> str:
        """Return `headers["trace_id"]`; the first look at it makes it."""

    def get_timestamp(self) -> float:
        """Return `headers["timestamp"]`, seconds since the epoch."""

    def with_payload(self, payload: Any) -> Message:
        """Return a message that differs in its payload only."""

    def with_headers(self, **headers: Any) -> Message:
        """Return a message with `headers` over this one's.

        It shares this one's trace id unless given a `trace_id` of its own.
        """

    def __copy__(self) -> Message: ...

def known_trace(message: Message) -> str | None:
    """The trace id of a message if it was given or has been read already; else None, and none is made."""

def set_stamp_clock(clock: Clock | None) -> None:
    """Take the timestamps of messages from a simulation's clock; None restores the machine's."""
