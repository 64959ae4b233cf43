"""Helpers for tests of edges: edges that are checked at the end, and calls that wait on threads of their own."""

from __future__ import annotations

import sys
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from counting import assert_conserved
from timing import PATIENCE

from graphflow import Edge, EdgeClosed
from graphflow.core.simulation.interleaver import SimulatedClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEADLINE_S = 10.0 * PATIENCE  # no test takes as long: past it something hangs

_made: list[Edge] = []
_checked: list[bool] = []  # not empty while edges_are_conserved is in force


def make_edge(capacity: Any = 1024, policy: Any = None, **bounds: Any) -> Edge:
    """An edge whose counts are checked, and which is closed, when the test ends."""
    assert _checked, "conftest.py must import edges_are_conserved"
    edge: Edge = Edge("a", "out", "b", "in", capacity, default_policy=policy, **bounds)
    _made.append(edge)
    return edge


def stopped_clock(*edges: Edge) -> SimulatedClock:
    """The clock of these (empty) edges from now on: it stands until the test advances it, however busy the machine."""
    clock = SimulatedClock()
    for edge in edges:
        edge._use_clock(clock)
    return clock


@pytest.fixture(autouse=True)
def edges_are_conserved(leaves_nothing_behind: None) -> Iterator[None]:
    """After a test every edge it made is closed, which frees whoever still waits at it, and accounts for every item.

    (Only then are threads counted that were left behind, hence the argument.)
    """
    _checked.append(True)
    yield
    made, _made[:] = list(_made), []
    _checked.clear()
    for edge in made:
        edge.close()
    for edge in made:
        assert_conserved(edge)


class Call(Future[Any]):
    """A call on a thread of its own; `result(DEADLINE_S)` gives or raises what became of it."""

    def __init__(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self.thread = threading.Thread(target=self._run, args=(function, args, kwargs), daemon=True)
        self.thread.start()

    def _run(self, function: Callable[..., Any], args: Any, kwargs: Any) -> None:
        try:
            outcome = function(*args, **kwargs)
        except BaseException as error:
            self.set_exception(error)
        else:
            self.set_result(outcome)

    def outcome(self) -> Any:
        """What the call returned; raises what it raised, or TimeoutError if it hangs."""
        return self.result(DEADLINE_S)

    def was_closed(self) -> bool:
        """Did the call end with EdgeClosed?"""
        return isinstance(self.exception(DEADLINE_S), EdgeClosed)


def wait_until(condition: Callable[[], object], what: str = "the condition") -> None:
    """Return when `condition` holds; fail if it does not in time."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come about in {DEADLINE_S:g} s"
        time.sleep(0.001)


def waiting_put(edge: Edge, item: Any, timeout: float | None = None) -> Call:
    """A put that waits by now: it was refused, and lists itself before it lets another thread run."""
    before = edge.stats().blocked
    call = Call(edge.put, item, timeout)
    wait_until(lambda: call.done() or edge.stats().blocked > before, "the put's wait")
    assert not call.done(), "the put should wait"
    wait_until(lambda: is_asleep(call.thread), "the put's sleep")
    return call


def waiting_get(edge: Edge, timeout: float | None = None) -> Call:
    """A get that waits by now."""
    call = Call(edge.get, timeout)
    wait_until(lambda: call.done() or is_asleep(call.thread), "the get's sleep")
    assert not call.done(), "the get should wait"
    return call


def is_asleep(thread: threading.Thread) -> bool:
    """Has the thread, with the interpreter free for it, not run for a while? It waits for something else, then."""
    before = _switches(thread)
    time.sleep(0.005)
    return thread.is_alive() and before == _switches(thread)


def _switches(thread: threading.Thread) -> str | None:
    if sys.platform != "linux" or thread.native_id is None:
        return None
    status = Path(f"/proc/self/task/{thread.native_id}/status")
    try:
        lines = status.read_text().splitlines()
    except OSError:
        return None  # it has ended
    state = next(line for line in lines if line.startswith("State"))
    assert state
    return "".join([state, *(line for line in lines if "ctxt_switches" in line)])


def drained(edge: Edge) -> list[Any]:
    """Everything that can be taken now."""
    items = []
    while (item := edge.try_get()) is not None:
        items.append(item)
    return items


def sum_of_a_race(edge: Edge, puts: int) -> int:
    """What two takers get of four putters, each of which puts that many ones; the edge is closed at the end."""
    taken: list[int] = []

    def put() -> None:
        for _ in range(puts):
            edge.put(1)

    def take() -> None:
        while True:
            try:
                taken.append(edge.get())
            except EdgeClosed:
                return

    putters = [Call(put) for _ in range(4)]
    takers = [Call(take) for _ in range(2)]
    for call in putters:
        call.outcome()
    edge.close()
    for call in takers:
        call.outcome()
    return sum(taken)


@pytest.fixture
def fast_switching() -> Iterator[None]:
    """Threads change places as often as the interpreter lets them."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)
