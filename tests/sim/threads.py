"""The threads around a graph of the family: who puts, who reads, who changes things under way."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING

from carried import MARK
from one_loop import run

from graphflow import EdgeClosed, Message, MessageType, PriorityBand
from graphflow.core.simulation.interleaver import Abandoned, acting
from graphflow.runtime.scheduler import _live
from graphflow.testing import sleep
from graphflow.testing.threads import SimulatedShell

if TYPE_CHECKING:
    from collections.abc import Callable

    from members import Route
    from world import World

    from graphflow import Scheduler
    from graphflow.runtime.handles import Input, Output

CANCELS = 0.3  # of the waits of a coroutine, where it may be cancelled


def feeder(rng: Random, world: World, name: str, member: str, most: int) -> Callable[[Scheduler], None]:
    """A thread that puts numbers into an exposed input: singly, many at once, or as a coroutine."""
    count, patience = rng.randint((most + 1) // 2, most), rng.choice([None, 0.0005, 0.0005, 0.01])
    control = rng.random() < 0.3
    put = rng.choice([_put, _put, _put, _put_or_not, _put_many, _put_await])
    own = Random(rng.random())
    sent = world.sent[name] = []
    world.controls[name] = 0
    if put is _put_many:
        world.at_once.add(name)

    def feed(scheduler: Scheduler) -> None:
        handle = scheduler.input(f"to-{member}")
        items: list[Route] = [(name, number) for number in range(count)]
        while items:
            before = len(items)
            MARK.set((name, None if put is _put_many else items[0][1]))
            put(handle, items, sent, patience, own)
            if control and len(items) < before and len(items) % 5 == 0:
                handle.put(Message(MessageType.CONTROL, (name, len(items))))
                world.controls[name] += 1

    feed.__name__ = name
    return feed


# Each puts one or more of `items`, takes off those that went in or were given up, and notes in `sent` what went in.


def _put(handle: Input, items: list[Route], sent: list[Route], patience: float | None, rng: Random) -> None:
    """Until it is in."""
    while not _put_once(handle, items[0], sent, patience):
        sleep(0.0001)
    items.pop(0)


def _put_or_not(handle: Input, items: list[Route], sent: list[Route], patience: float | None, rng: Random) -> None:
    """What does not find room in time is given up."""
    _put_once(handle, items.pop(0), sent, patience)


def _put_once(handle: Input, item: Route, sent: list[Route], patience: float | None) -> bool:
    try:
        handle.put(item, timeout=patience)
    except TimeoutError:
        return False
    sent.append(item)
    return True


def _put_many(handle: Input, items: list[Route], sent: list[Route], patience: float | None, rng: Random) -> None:
    """Some at once, and as many as have found room in time."""
    some = items[: rng.choice([2, 5, 40])]
    accepted = handle.put_many(some, timeout=patience)
    sent += some[:accepted]
    del items[:accepted]
    if accepted < len(some):
        sleep(0.0001)


def _put_await(handle: Input, items: list[Route], sent: list[Route], patience: float | None, rng: Random) -> None:
    """As a coroutine, which may be cancelled: then it says whether the item went in."""
    item = items.pop(0)
    try:
        run(handle.aput(item, patience), rng, CANCELS)
    except TimeoutError:
        return
    except asyncio.CancelledError as error:
        if not vars(error)["accepted"]:
            return
    sent.append(item)


def reader(rng: Random, world: World, name: str, number: int) -> Callable[[Scheduler], None]:
    """A thread that reads an exposed output to its end: one by one, with timeouts, several at once, as a coroutine."""
    pause = rng.choice([0.0, 0.0, 0.001])
    get = rng.choice([_get, _get, _get_for_a_while, _get_many, _get_await])
    own = Random(rng.random())
    read = world.read.setdefault(name, [])

    def reads(scheduler: Scheduler) -> None:
        output = scheduler.output(name)
        try:
            while True:
                read.extend(message.payload for message in get(output, own) if message.is_data())
                sleep(pause)
        except EdgeClosed:
            pass

    reads.__name__ = f"{name}-{number}"
    return reads


def _get(output: Output, rng: Random) -> list[Message]:
    return [output.get()]


def _get_for_a_while(output: Output, rng: Random) -> list[Message]:
    try:
        return [output.get(timeout=rng.choice([0.001, 0.01, 0.1]))]
    except TimeoutError:
        return []


def _get_many(output: Output, rng: Random) -> list[Message]:
    return output.get_many(rng.choice([1, 3, 40]), timeout=rng.choice([0.005, None]))


def _get_await(output: Output, rng: Random) -> list[Message]:
    try:
        return [run(output.aget(rng.choice([None, 0.005])), rng, CANCELS)]
    except (TimeoutError, asyncio.CancelledError):
        return []


def meddler(rng: Random, world: World) -> Callable[[Scheduler], None]:
    """A thread that changes things under way: bands, capacities, pauses, questions, now and then a stop."""
    edges = [edge.id for edge in world.graph.edges]
    names = list(world.graph.nodes)
    kinds = ["band", "capacity", "capacity", "pause", "resume", "look"]
    script = [(rng.choice(kinds), rng.random()) for _ in range(8)]
    if rng.random() < 0.2:
        world.drained = False
        world.patient = rng.random() < 0.5
        script.append(("stop", rng.choice([0.0, 0.9])))

    def meddle(scheduler: Scheduler) -> None:
        for what, where in script:
            edge = edges[int(where * len(edges))] if edges else None
            if what in ("band", "capacity") and edge is not None:
                _tune(scheduler, edge, what, where)
            elif what == "pause":
                scheduler.pause(names[int(where * len(names))])
            elif what == "resume":
                for name in names:
                    scheduler.resume(name)
            elif what == "look":
                scheduler.snapshot()
                scheduler.get_stats()
            elif what == "stop":
                # Without a drain, or with one that leaves no time for some rests.
                scheduler.shutdown(drain=where > 0.5, timeout=1e5 if world.patient else 0.05)
            sleep(where / 500)

    return meddle


def _tune(scheduler: Scheduler, edge: str, what: str, where: float) -> None:
    if what == "band":
        scheduler.set_priority(edge, list(PriorityBand)[int(where * 30) % 3])
    else:
        scheduler.set_capacity(edge, (1, 2, 3, 8, 40)[int(where * 50) % 5])


def stopper(rng: Random) -> Callable[[], None]:
    """Called by an on_start: starts a thread that stops the run before all nodes have started."""
    wait, drain = rng.choice([0.0, 0.001, 0.004]), rng.random() < 0.5

    def stop(scheduler: Scheduler) -> None:
        try:
            sleep(wait)
            scheduler.shutdown(drain=drain, timeout=1e5)
        except Abandoned:
            pass

    def start() -> None:
        me = acting()
        assert me is not None
        # Hooks are not told which scheduler theirs is.
        (scheduler,) = [each for each in _live if isinstance(each._shell, SimulatedShell) and each.is_running()]
        scheduler._shell.thread(stop, "early-stop", (scheduler,)).start()

    return start
