from asyncio import AbstractEventLoop, Future
from typing import Any

from graphflow.core.edges.edge import Edge
from graphflow.core.edges.policy import PutResult

class Awaited:
    """One call that waits in an event loop."""

    future: Future[None] | None
    def wake(self) -> None:
        """On the loop's thread: let the coroutine go on, if it is suspended."""

    def delay(self) -> float | None:
        """Seconds after which to step again even if nobody rings; None for never."""

class AwaitedPut(Awaited):
    """A put of a coroutine."""

    def __init__(self, edge: Edge, loop: AbstractEventLoop, timeout: float | None, item: Any) -> None: ...
    def step(self) -> PutResult | None:
        """A PutResult, or None: suspend."""

    def withdraw(self) -> bool:
        """Stop waiting. True: the item is in; False: it is out, and stays so."""

class AwaitedGet(Awaited):
    """A get of a coroutine."""

    def __init__(self, edge: Edge, loop: AbstractEventLoop, timeout: float | None) -> None: ...
    def step(self) -> Any | None:
        """The item, or None: suspend."""

    def withdraw(self) -> None:
        """Stop waiting; a ring that came meanwhile goes to the next getter."""
