"""Async nodes for tests."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from graphs import Collect, chain, scheduler_of

from graphflow import Message, Node, Scheduler, Subgraph

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Waits(Node):
    """Awaits, at each message, until the test lets it go."""

    inputs: Any = "in"
    outputs: Any = "out"

    def __init__(self, name: str = "waits", limit: int = 1, *, ordered: bool = True) -> None:
        super().__init__(name)
        self.max_concurrency = limit
        self.ordered = ordered
        self.inside: list[Any] = []
        self.most = 0
        self.let: dict[Any, asyncio.Event] = {}
        self.loop: asyncio.AbstractEventLoop | None = None
        self.cancelled: list[Any] = []

    def gate(self, payload: Any) -> asyncio.Event:
        return self.let.setdefault(payload, asyncio.Event())

    async def on_start(self) -> None:
        self.loop = asyncio.get_running_loop()

    async def on_message(self, port: str, msg: Message) -> None:
        if msg.is_control():
            self.emit("out", msg.payload)
            return
        self.inside.append(msg.payload)
        self.most = max(self.most, len(self.inside))
        try:
            await self.gate(msg.payload).wait()
        except asyncio.CancelledError:
            self.cancelled.append(msg.payload)
            raise
        finally:
            self.inside.remove(msg.payload)
        self.emit("out", msg.payload)

    def let_go(self, *payloads: Any) -> None:
        assert self.loop is not None
        for payload in payloads:
            self.loop.call_soon_threadsafe(self._open, payload)

    def _open(self, payload: Any) -> None:
        self.gate(payload).set()


def fed(node: Node, items: list[Any], **config: Any) -> tuple[Subgraph, Scheduler, Collect]:
    last = Collect()
    graph = chain(node, last)
    graph.expose_input("in", (node.name, "in"))
    scheduler = scheduler_of(graph, **config)
    scheduler.start()
    scheduler.input("in").put_many(items)
    return graph, scheduler, last


class Expands(Node):
    inputs: Any = "in"
    outputs: Any = "out"

    def __init__(self, name: str = "expands") -> None:
        super().__init__(name)
        self.yielded = 0
        self.heard: list[Any] = []

    async def on_message(self, port: str, msg: Message) -> AsyncIterator[Any]:
        if msg.is_control():
            self.heard.append(msg.payload)
            return
        for number in range(msg.payload):
            self.yielded += 1
            yield number
            if number % 7 == 3:
                await asyncio.sleep(0)
