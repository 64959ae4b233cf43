"""Coroutines that wait at an edge. What to wait for, and whether it has come about, is decided in
core/edges/async_wait."""

from __future__ import annotations

import asyncio
from typing import Any

from graphflow.core.edges.async_wait import Awaited, AwaitedGet, AwaitedPut
from graphflow.core.edges.edge import Edge
from graphflow.core.edges.policy import PutResult
from graphflow.core.sync.latch import refuse_in_simulation


async def put(edge: Edge, item: Any, timeout: float | None) -> PutResult:
    """Edge.put for a coroutine. If it is cancelled, `accepted` of the CancelledError says whether the item is in."""
    refuse_in_simulation("aput()", "put()")
    attempt = AwaitedPut(edge, asyncio.get_running_loop(), timeout, item)
    try:
        while (result := attempt.step()) is None:
            await _next_ring(attempt)
    except asyncio.CancelledError as error:
        _tell(error, edge, accepted=attempt.withdraw())
        raise
    finally:
        attempt.withdraw()
    return result


async def get(edge: Edge, timeout: float | None) -> Any:
    """Edge.get for a coroutine. One that is cancelled has taken nothing: the item is taken in the step that returns."""
    refuse_in_simulation("aget()", "get()")
    attempt = AwaitedGet(edge, asyncio.get_running_loop(), timeout)
    try:
        while (item := attempt.step()) is None:
            await _next_ring(attempt)
    finally:
        attempt.withdraw()
    return item


async def _next_ring(attempt: Awaited) -> None:
    """Suspend until the edge rings, or the attempt wants to look by itself. Others may have woken it for nothing."""
    loop = asyncio.get_running_loop()
    attempt.future = loop.create_future()
    delay = attempt.delay()
    timer = None if delay is None else loop.call_later(delay, attempt.wake)
    try:
        await attempt.future
    finally:
        attempt.future = None
        if timer is not None:
            timer.cancel()


def _tell(error: asyncio.CancelledError, edge: Edge, *, accepted: bool) -> None:
    """Have `error` say what became of the item. (A subclass could: but asyncio.timeout() wants this very type.)"""
    vars(error)["accepted"] = accepted
    error.add_note(f"{edge.id}: the cancelled aput() {'had put' if accepted else 'did not put'} its item in")
