"""What the loop of a waiting coroutine may do: be closed, be interrupted, and be let go."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from awaits import POLICIES, cancelled, ends, run, waiting
from edges import DEADLINE_S, make_edge, waiting_get, waiting_put

from graphflow import PutResult
from graphflow.core.edges.async_wait import Awaited

if TYPE_CHECKING:
    from collections.abc import Coroutine


class Thing:
    """An item whose end can be seen."""


def test_a_closed_loop_with_a_waiting_put_is_in_nobodys_way() -> None:
    for policy in POLICIES.values():
        edge = make_edge(1, policy())
        inlet, _ = ends(edge)
        edge.put("first")
        loop, tasks = _left_waiting([inlet.aput(number) for number in range(3)])
        call = waiting_put(edge, "patient")
        loop.close()
        taken = [edge.get(timeout=DEADLINE_S)]
        while taken[-1] != "patient":
            taken.append(edge.get(timeout=DEADLINE_S))
        assert call.outcome() is PutResult.OK
        assert taken in (["first", "patient"], ["first", 0, 1, 2, "patient"])
        _forget(tasks)


def test_a_closed_loop_with_waiting_gets_hands_the_item_on() -> None:
    edge = make_edge(5)
    _, outlet = ends(edge)
    loop, tasks = _left_waiting([outlet.aget() for _ in range(3)])
    call = waiting_get(edge)
    loop.close()
    edge.put("item")
    assert call.outcome() == "item"
    edge.put("another")
    assert edge.get(timeout=0) == "another"
    _forget(tasks)


def test_thousands_of_waits_of_a_closed_loop_are_passed_over() -> None:
    """One at a time: a call within a call for each of them would be too deep."""
    edge = make_edge(5)
    _, outlet = ends(edge)
    loop, tasks = _left_waiting([outlet.aget() for _ in range(20_000)])
    loop.close()
    passed_over = []

    def put_on_a_small_stack() -> None:
        edge.put("item")
        passed_over.append(edge.get(timeout=0))

    size = threading.stack_size(256 * 1024)
    try:
        thread = threading.Thread(target=put_on_a_small_stack)
        thread.start()
    finally:
        threading.stack_size(size)
    thread.join()
    assert passed_over == ["item"]
    _forget(tasks)


def _left_waiting(coroutines: list[Coroutine[Any, Any, Any]]) -> tuple[asyncio.AbstractEventLoop, list[Any]]:
    """A stopped loop whose tasks wait and were never cancelled."""
    loop = asyncio.new_event_loop()
    tasks = [loop.create_task(coroutine) for coroutine in coroutines]
    loop.run_until_complete(asyncio.sleep(0))
    assert not any(task.done() for task in tasks)
    return loop, tasks


def _forget(tasks: list[Any]) -> None:
    """Let tasks of a closed loop go in silence."""
    for task in tasks:
        task._log_destroy_pending = False
        task.get_coro().close()
    tasks.clear()


INTERRUPTED = """
import asyncio, threading, time
from graphflow import Edge
from graphflow.runtime.handles import Output

edge = Edge("a", "out", "b", "in", 5)
loop = asyncio.new_event_loop()
call_loop = loop.call_soon_threadsafe
interrupts = [KeyboardInterrupt]

def interrupted(*args):
    if threading.current_thread() is threading.main_thread() and interrupts:
        raise interrupts.pop()
    return call_loop(*args)

async def get():
    asyncio.get_running_loop().call_soon(waits.set)     # runs when the aget is suspended
    return await Output("out", edge).aget(timeout=20)

loop.call_soon_threadsafe = interrupted
waits = threading.Event()
got = []
thread = threading.Thread(target=lambda: got.append(loop.run_until_complete(get())))
thread.start()
waits.wait()
try:
    edge.put("item")
    for _ in range(10_000):     # it is raised as soon as Python looks for one
        pass
    print("lost")
except KeyboardInterrupt:
    thread.join()
    print(got[0].payload)
"""


def test_an_interrupt_while_a_loop_is_called_is_raised_and_wakes_the_waiter_all_the_same() -> None:
    """A signal handler may raise while the main thread tells another thread's loop of what it put."""
    ran = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=50)
    assert ran.stdout.strip() == "item", (ran.returncode, ran.stderr)


@pytest.mark.parametrize("outcome", ["cancelled", "done"])
def test_nothing_of_a_finished_call_is_kept_alive(outcome: str, collected: None) -> None:
    edge = make_edge(1)
    inlet, outlet = ends(edge)
    before = _calls_alive()
    refs: list[weakref.ref[Any]] = []

    async def main() -> None:
        refs.append(weakref.ref(asyncio.get_running_loop()))
        edge.put("first")
        thing = Thing()
        refs.append(weakref.ref(thing))
        putter = await waiting(edge, inlet.aput(thing))
        del thing
        if outcome == "done":
            edge.get()
            await putter
            edge.get()
        else:
            await cancelled(putter)
            edge.get()
        getter = await waiting(edge, outlet.aget())
        if outcome == "done":
            edge.put("last")
            await getter
        else:
            await cancelled(getter)
        refs.extend([weakref.ref(putter), weakref.ref(getter)])

    run(main())
    gc.collect()
    assert [ref() for ref in refs] == [None] * 4
    assert _calls_alive() == before


def _calls_alive() -> int:
    return sum(isinstance(found, Awaited) for found in gc.get_objects())
