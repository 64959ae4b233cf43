"""Helpers for tests of coroutines that wait at edges, or beside a graph."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from edges import DEADLINE_S, Call
from graphs import Gate, Map, chain, scheduler_of

from graphflow import Coalesce, Edge, PutResult, Scheduler, Subgraph
from graphflow.runtime.handles import Input, Output

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Coroutine


class OkPolicy:
    """A user's policy that leaves everything to the bounds: its putters must ask again, they are not moved in."""

    def on_enqueue(self, capacity: int, size: int, item: object) -> PutResult:
        return PutResult.OK


POLICIES: dict[str, Callable[[], Any]] = {
    "block": lambda: None,
    "custom": OkPolicy,
    "keyed": lambda: Coalesce(lambda old, new: new, key=lambda payload: payload),
}


def ends(edge: Edge) -> tuple[Input, Output]:
    return Input("in", edge), Output("out", edge)


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a test's coroutine in a loop of its own, with a deadline."""

    async def limited() -> None:
        await asyncio.wait_for(main, DEADLINE_S)

    asyncio.run(limited())


async def waiting(edge: Edge, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """A task that is suspended in its put or get by now: a step of its own runs until it waits."""
    task = asyncio.create_task(coroutine)
    await asyncio.sleep(0)
    assert not task.done(), f"{edge.id}: the call should wait"
    return task


def accepted(error: BaseException | None) -> bool:
    """What a cancelled aput says; its note says the same."""
    assert isinstance(error, asyncio.CancelledError)
    said: bool = vars(error)["accepted"]
    assert ("did not put" in "".join(error.__notes__)) is not said
    return said


async def cancelled(task: asyncio.Task[Any]) -> BaseException:
    """The error of a task that is cancelled."""
    task.cancel()
    try:
        outcome = await task
    except asyncio.CancelledError as error:
        return error
    raise AssertionError(f"the task returned {outcome!r} although it was cancelled")


def in_another_thread(function: Callable[..., Any], *args: Any) -> Any:
    """Call on another thread while this one, and so its loop, stands still."""
    return Call(function, *args).outcome()


async def event_set(event: threading.Event) -> None:
    """Wait for what another thread sets."""
    assert await asyncio.to_thread(event.wait, DEADLINE_S)


async def comes_true(condition: Callable[[], object]) -> None:
    """Wait for what nothing announces, and so see that the loop runs on meanwhile."""
    deadline = asyncio.get_running_loop().time() + DEADLINE_S
    while not condition():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.002)


def through(capacity: int = 1024, fn: Callable[[Any], Any] = lambda value: value) -> tuple[Scheduler, Subgraph]:
    """in -> map -> out, both exposed with this capacity."""
    graph = chain(Map("map", fn))
    graph.expose_input("in", "map:in", capacity=capacity)
    graph.expose_output("out", "map:out", capacity=capacity)
    return scheduler_of(graph), graph


def into_gate(capacity: int = 1024, **config: Any) -> tuple[Scheduler, Subgraph, Gate]:
    """in -> gate, whose handler waits until the test opens it."""
    gate = Gate()
    graph = chain(gate)
    graph.expose_input("in", "gate:in", capacity=capacity)
    return scheduler_of(graph, **config), graph, gate
