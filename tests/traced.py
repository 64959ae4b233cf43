"""For tests of tracing: the spans that have ended, and nodes of every kind that note which span is current."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from graphs import Map, chain, scheduler_of
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from graphflow import ErrorPolicy, Message, Node, Scheduler, Subgraph

if TYPE_CHECKING:
    from collections.abc import Iterator

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Traces:
    """A provider, and the spans that have ended."""

    def __init__(self, **options: Any) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(**options)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = self.provider.get_tracer("test")

    def spans(self, node: str | None = None) -> list[Any]:
        ended = self.exporter.get_finished_spans()
        return [
            span
            for span in ended
            if node is None or (span.attributes and span.attributes.get("graphflow.node") == node)
        ]

    def one(self, node: str) -> Any:
        (span,) = self.spans(node)
        return span


@pytest.fixture
def traces() -> Iterator[Traces]:
    made = Traces()
    yield made
    assert not trace.get_current_span().get_span_context().is_valid, "a span is current still"
    made.provider.shutdown()


def trace_of(span: Any) -> str:
    return f"{span.context.trace_id:032x}"


def parent_of(span: Any) -> int | None:
    return None if span.parent is None else span.parent.span_id


def framed(*nodes: Node) -> tuple[Subgraph, Scheduler]:
    """The nodes in a row, between an exposed input and an exposed output."""
    graph = chain(*nodes)
    graph.expose_input("in", (nodes[0].name, "in"))
    graph.expose_output("out", (nodes[-1].name, "out"))
    return graph, scheduler_of(graph, workers=2)


class Current(Map):
    """Emits what it gets; notes which span is current while it handles it."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.current: list[int] = []
        self.seen: list[Message] = []

    def note(self, msg: Message) -> None:
        self.current.append(trace.get_current_span().get_span_context().span_id)
        self.seen.append(msg)

    def on_message(self, port: str, msg: Message) -> Any:
        self.note(msg)
        self.emit("out", msg.payload)


class Yielding(Current):
    def on_message(self, port: str, msg: Message) -> Any:
        for _ in range(1):
            self.note(msg)
            yield msg.payload
            self.note(msg)


class InTwos(Current):
    max_concurrency = 2


class Retrying(Current):
    error_policy = ErrorPolicy.retry(2)


class Dedicated(Current):
    dedicated = True


class Awaiting(Current):
    async def on_message(self, port: str, msg: Message) -> None:  # type: ignore[override]
        self.note(msg)
        await asyncio.sleep(0.001)
        self.note(msg)
        self.emit("out", msg.payload)


class AwaitingInTwos(Awaiting):
    max_concurrency = 2


class YieldingAwaiting(Current):
    async def on_message(self, port: str, msg: Message) -> Any:
        self.note(msg)
        await asyncio.sleep(0.001)
        yield msg.payload
        self.note(msg)


KINDS = [Current, Yielding, InTwos, Retrying, Dedicated, Awaiting, AwaitingInTwos, YieldingAwaiting]


class Yields(Map):
    def on_message(self, port: str, msg: Message) -> Any:
        yield from range(10)
