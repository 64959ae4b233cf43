"""The graph that is soaked: every policy, bound and kind of node, fed and read by threads of its own."""

from __future__ import annotations

import asyncio
import itertools
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from graphflow import (
    EdgeClosed,
    ErrorPolicy,
    Message,
    MessageType,
    Node,
    PriorityBand,
    Scheduler,
    SchedulerConfig,
    Subgraph,
    coalesce,
    drop,
    latest,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FEEDERS = 3


class Parse(Node):
    inputs, outputs = "in", "out"

    def on_message(self, port: str, msg: Message) -> Iterator[Any]:
        who, number = msg.payload
        yield {"who": who, "number": number, "text": f"{who}-{number}"}


class Enrich(Node):
    """Fails now and then, and tries again."""

    inputs, outputs = "in", "out"
    error_policy = ErrorPolicy.retry(3, backoff_s=0.0002)
    max_concurrency = 2

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.calls = itertools.count()

    def on_message(self, port: str, msg: Message) -> None:
        if msg.is_data():
            if next(self.calls) % 997 == 0:
                raise ValueError("now and then")
            self.emit("out", {**msg.payload, "rich": True})


class Letters(Node):
    """Gives up on some messages, which leave as dead letters."""

    inputs, outputs = "in", ("out", "errors")
    error_policy = ErrorPolicy.dead_letter("errors")

    def on_message(self, port: str, msg: Message) -> None:
        if msg.payload["number"] % 499 == 0:
            raise ValueError("not this one")
        self.emit("out", msg.payload)


class Awaits(Node):
    inputs = "in"

    async def on_message(self, port: str, msg: Message) -> None:
        await asyncio.sleep(0)


class Counts(Node):
    """The end of a branch."""

    inputs, outputs = "in", "out"
    tick_interval_ms = 10.0

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.count = 0

    def on_message(self, port: str, msg: Message) -> None:
        self.count += 1

    def on_tick(self) -> None:
        self.emit("out", self.count)


def make_graph(extra: Callable[[Node], Node] = lambda node: node) -> Subgraph:
    """The graph; `extra` may change the node at the end of its main line."""
    end = extra(Counts("end"))
    branches = [Counts(name) for name in ("dropped", "newest", "states", "aged")]
    nodes = [Parse("parse"), Enrich("enrich"), Letters("letters"), end, Counts("errors"), Awaits("awaits"), *branches]
    graph = Subgraph.from_nodes("soak", nodes)
    graph.expose_input("in", "parse:in", capacity=64)
    graph.connect("parse:out", "enrich:in", capacity=32, max_bytes=4096, sizeof=len)
    graph.connect("enrich:out", "letters:in", capacity=32, priority=PriorityBand.HIGH)
    graph.connect("letters:out", "end:in", capacity=32)
    graph.connect("letters:errors", "errors:in", capacity=32)
    graph.connect("enrich:out", "dropped:in", capacity=4, policy=drop())
    graph.connect("enrich:out", "newest:in", capacity=4, policy=latest())
    graph.connect("enrich:out", "states:in", capacity=16, policy=coalesce(_newest, key=_who))
    graph.connect("enrich:out", "aged:in", capacity=8, ttl_s=0.05)
    graph.connect("letters:out", "awaits:in", capacity=16, policy=drop())
    graph.expose_output("ticks", "end:out", capacity=4, policy=latest())
    return graph


def _newest(old: Any, new: Any) -> Any:
    return new


def _who(payload: Any) -> Any:
    return payload["who"]


class Load:
    """A running graph under load."""

    def __init__(self, graph: Subgraph) -> None:
        self.scheduler = Scheduler(SchedulerConfig(workers=3, metrics=True))
        self.scheduler.register(graph)
        self._graph = graph
        self.read = 0

    def handled(self) -> int:
        """Messages that have come to the end of the main line."""
        return next(edge for edge in self._graph.edges if edge.id == "letters:out->end:in").stats().delivered

    def feed(self, who: int) -> None:
        """Put until the graph stops; now and then control, now and then patience."""
        inlet = self.scheduler.input("in")
        try:
            for number in itertools.count():
                try:
                    inlet.put((who, number), timeout=0.5)
                except TimeoutError:
                    continue
                if number % 100 == 0:
                    inlet.put(Message(MessageType.CONTROL, (who, number)), timeout=5)
        except EdgeClosed:
            return

    def drink(self) -> None:
        for _ in self.scheduler.output("ticks"):
            self.read += 1

    @contextmanager
    def running(self) -> Iterator[None]:
        """Under load while the block runs; then everything drains."""
        threads = [threading.Thread(target=self.feed, args=(who,)) for who in range(FEEDERS)]
        threads.append(threading.Thread(target=self.drink))
        self.scheduler.start()
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            report = self.scheduler.shutdown(timeout=30)
            for thread in threads:
                thread.join(30)
        assert report.complete, report
