"""Spans of handler calls, and their context in the headers of messages, as W3C traceparent.

A message enters a node with the context of whoever sent it in its headers. The handler's span is a child of that, and
the handler sees a message whose headers name the span; what it emits inherits these headers. So one trace leads from
`Input.put` through the graph to its outputs. The trace id of a message, its traceparent and its span agree everywhere.
"""

from __future__ import annotations

import logging
import random
from typing import TYPE_CHECKING, Any

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from graphflow.base.events import say
from graphflow.core.messages.message import Message, MessageType, known_trace

if TYPE_CHECKING:
    from contextvars import Token

    from opentelemetry.context import Context
    from opentelemetry.trace import Span, TracerProvider

log: logging.Logger = logging.getLogger("graphflow.tracing")

_HEADERS = ("traceparent", "tracestate")
_propagator = TraceContextTextMapPropagator()
_span_ids = random.Random()


class OtelSpans:
    """Makes the spans of one scheduler; see graphflow.runtime.tracing.Spans. What the tracer raises is logged once."""

    def __init__(self, provider: TracerProvider, graph: str) -> None:
        self._tracer = trace.get_tracer("graphflow", tracer_provider=provider)
        self._graph = graph
        self._said = False

    def enter(self, path: str, port: str, message: Message, attempt: int) -> tuple[OtelHandlerSpan, Message]:
        """Start the span of a call, and make it current."""
        span = OtelHandlerSpan(self)
        try:
            attributes: dict[str, Any] = {
                "graphflow.graph": self._graph,
                "graphflow.node": path,
                "graphflow.port": port,
                "graphflow.attempt": attempt,
            }
            # Not CONSUMER: that is for what a broker delivers, and this stays in the process.
            span.begin(
                self._tracer.start_span(
                    f"process {path}", _parent_of(message), SpanKind.INTERNAL, attributes, record_exception=False
                )
            )
            return span, _with_context(message, span.context())
        except Exception as error:
            self.failed(error)
            return span, message

    def link(self, message: Message, parent: Message) -> Message:
        """Give a message that has no context that of the one being handled."""
        headers = message.headers
        if "traceparent" in headers or "traceparent" not in parent.headers:
            return message
        carried = {name: parent.headers[name] for name in _HEADERS if name in parent.headers}
        if known_trace(message) is None:
            carried["trace_id"] = parent.get_trace_id()
        return message.with_headers(**carried)

    def stamp(self, item: Any) -> Any:
        """Give an item that has no context that of the caller's current span."""
        try:
            context = contexts.get_current()
            if item is None or not trace.get_current_span(context).get_span_context().is_valid:
                return item
            message = item if isinstance(item, Message) else Message(MessageType.DATA, item)
            return message if "traceparent" in message.headers else _with_context(message, context)
        except Exception as error:
            self.failed(error)
            return item

    def failed(self, error: Exception) -> None:
        """The tracer raised: say so once, and go on without."""
        if not self._said:
            self._said = True
            say(log, "tracing_error", "%s: the tracer raised", self._graph, exc_info=error, graph=self._graph)


class OtelHandlerSpan:
    """The span of one call; see graphflow.runtime.tracing.HandlerSpan. It is suspended and resumed on one thread at a
    time."""

    def __init__(self, spans: OtelSpans) -> None:
        self._spans = spans
        self._span: Span | None = None
        self._token: Token[Context] | None = None  # while it is current

    def begin(self, span: Span) -> None:
        """It has been started."""
        self._span = span
        self.resume()

    def context(self) -> Context:
        """A context in which it is the current span."""
        assert self._span is not None
        return trace.set_span_in_context(self._span)

    def resume(self) -> None:
        """Make it the current span of this thread."""
        if self._span is not None and self._token is None:
            self._token = contexts.attach(self.context())

    def suspend(self) -> None:
        """Make it not that any more."""
        if self._token is not None:
            token, self._token = self._token, None
            contexts.detach(token)

    def end(self, error: BaseException | None = None) -> None:
        """End it, with the exception that the handler raised."""
        span, self._span = self._span, None
        self.suspend()
        if span is None:
            return
        try:
            if error is not None:
                span.record_exception(error)
                span.set_status(Status(StatusCode.ERROR, type(error).__name__))
            span.end()
        except Exception as second:
            self._spans.failed(second)


def _parent_of(message: Message) -> Context:
    """The context that a message brings: of its traceparent, else of a trace id that somebody knows already, else
    none."""
    headers = message.headers
    carried = {name: headers[name] for name in _HEADERS if isinstance(headers.get(name), str)}
    context = _propagator.extract(carried, contexts.Context())
    if trace.get_current_span(context).get_span_context().is_valid:
        return context
    known = known_trace(message)
    if known is None or not _is_trace_id(known):
        return contexts.Context()
    # A parent that nobody has recorded: the trace id is the sender's, and a span can only join it below another one.
    parent = SpanContext(int(known, 16), _span_ids.getrandbits(64) or 1, is_remote=True, trace_flags=TraceFlags(1))
    return trace.set_span_in_context(NonRecordingSpan(parent), contexts.Context())


def _is_trace_id(text: str) -> bool:
    return len(text) == 32 and set(text) <= set("0123456789abcdef") and text != "0" * 32


def _with_context(message: Message, context: Context) -> Message:
    """The message with a context in its headers, and the trace id of that."""
    carried: dict[str, Any] = {}
    _propagator.inject(carried, context)
    if not carried:
        return message
    return message.with_headers(**carried, trace_id=carried["traceparent"][3:35])
