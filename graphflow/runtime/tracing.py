"""What the core and the handles ask of a tracer; graphflow.observability.otel has the one there is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from graphflow.core.messages.message import Message


class HandlerSpan(Protocol):
    """The span of one call of `on_message`. Nothing of it raises."""

    def suspend(self) -> None:
        """The handler does not run now: the span is not current."""

    def resume(self) -> None:
        """It runs again, on this thread."""

    def end(self, error: BaseException | None = None) -> None:
        """It has ended; a second time is ignored."""


class Spans(Protocol):
    """Makes spans, and keeps their context in the headers of messages. Nothing of it raises."""

    def enter(self, path: str, port: str, message: Message, attempt: int) -> tuple[HandlerSpan, Message]:
        """A node is to handle a message: its span, current on this thread, and the message that the handler sees, whose
        headers name the span."""
        ...

    def link(self, message: Message, parent: Message) -> Message:
        """A message that a handler made by itself, as part of the trace of the one it handles."""
        ...

    def stamp(self, item: Any) -> Any:
        """An item that enters a graph, as part of the trace of whoever puts it in."""
        ...


@dataclass(slots=True)
class Tracing:
    """Of one scheduler: what makes its spans, None while tracing is off."""

    spans: Spans | None = None
