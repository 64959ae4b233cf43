"""A family of graphs for simulations: each seed draws another one, the threads around it, and what may go wrong.

Payloads are (origin, number, nodes passed...), so every node sees on which route a message came. Numbers rise along a
route, whatever is dropped: an earlier or an equal one was overtaken, or delivered twice. On a route whose edges all
Block, everything that was sent arrives.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from members import KINDS, Generator, Member, Origin, Plain, Route, Step, Ticker
from world import World

from graphflow import (
    EdgeClosed,
    Message,
    MessageType,
    PriorityBand,
    Scheduler,
    SchedulerConfig,
    Subgraph,
    block,
    coalesce,
    drop,
    latest,
)
from graphflow.testing import Fault, HandlerHangs, HandlerRaises, PutTimesOut, Simulation, simulate, sleep

if TYPE_CHECKING:
    from collections.abc import Callable

AGAIN = "make sim SIM_SEED={seed}"


def newest(old: Route, new: Route) -> Route:
    """Merges by keeping the newcomer."""
    return new


def draw(seed: int) -> World:
    """The member of the family that a seed stands for."""
    rng = random.Random(seed)
    members = [_member(rng, number) for number in range(rng.randint(1, 5))]
    graph = Subgraph.from_nodes("family", members)
    config = SchedulerConfig(
        workers=rng.choice([1, 2, 2, 3]),
        max_batch_per_node=rng.choice([1, 2, 8, 64]),
        outbox_limit=4096,
        watchdog_s=rng.choice([None, 0.02, 5.0]),
        metrics=rng.random() < 0.3,
    )
    world = World(graph, config, [], _faults(rng), rng.choice([0.005, 0.05, 0.2]), rng.choice(["handlers", "sections"]))
    for place, member in enumerate(members):
        _feed(rng, world, members[:place], member)
    for member in members:
        _read(rng, world, member)
    if rng.random() < 0.5:
        world.threads.append(_meddler(rng, world))
    return world


def _member(rng: random.Random, number: int) -> Member:
    kind = rng.choice(KINDS)
    maker = {"generator": Generator, "ticker": Ticker, "step": Step, "flat step": Step}.get(kind, Plain)
    return maker(f"{kind}{number}", kind)


def _edge(rng: random.Random, world: World, target: str) -> tuple[dict[str, Any], bool]:
    """Options of an edge to `target`, and whether it loses nothing."""
    policy, sure = rng.choice(
        [(block, True)] * 5
        + [
            (drop, False),
            (latest, False),
            (lambda: coalesce(newest), False),
            (lambda: coalesce(newest, key=_key), False),
        ]
    )
    options: dict[str, Any] = {"capacity": rng.choice([1, 1, 2, 3, 8]), "policy": policy()}
    options["priority"] = rng.choice(list(PriorityBand))
    if getattr(options["policy"], "key", None) is not None:
        world.loose.add(target)
    if rng.random() < 0.1:
        options["ttl_s"], sure = 0.004, False
    if rng.random() < 0.1:
        options |= {"max_bytes": 10, "sizeof": _size}
    return options, sure


def _key(payload: Route) -> Any:
    return payload[1] % 3


def _size(payload: Route) -> int:
    return 1 + len(payload)


def _feed(rng: random.Random, world: World, before: list[Member], member: Member) -> None:
    """Something that feeds a member: earlier members, a source, or a thread at an exposed input."""
    feeders = rng.sample(before, k=min(len(before), rng.choice([0, 1, 1, 2])))
    for feeder in feeders:
        options, sure = _edge(rng, world, member.name)
        world.graph.connect((feeder.name, "out"), (member.name, "in"), **options)
        world.sure[feeder.name, member.name] = sure
    if not feeders and rng.random() < 0.4:
        origin = Origin(f"origin-{member.name}", rng.randint(1, 25))
        world.graph.add_node(origin)
        options, sure = _edge(rng, world, member.name)
        world.graph.connect((origin.name, "out"), (member.name, "in"), **options)
        world.sure[origin.name, member.name] = sure
    elif not feeders:
        options, sure = _edge(rng, world, member.name)
        world.graph.expose_input(f"to-{member.name}", (member.name, "in"), **options)
        for number in range(rng.choice([1, 1, 2])):
            name = f"feeder{number}-{member.name}"
            world.sent[name] = []
            world.sure[name, member.name] = sure
            world.threads.append(_feeder(rng, world.sent[name], name, member.name))


def _feeder(rng: random.Random, sent: list[Route], name: str, member: str) -> Callable[[Scheduler], None]:
    count, patience = rng.randint(1, 25), rng.choice([None, 0.0005, 0.01])
    control = rng.random() < 0.3

    def feed(scheduler: Scheduler) -> None:
        handle = scheduler.input(f"to-{member}")
        for number in range(count):
            item = (name, number)
            sent.append(item)
            entered = False
            try:
                while not _put(handle, item, patience):
                    pass
                entered = True
                if control and number % 5 == 0:
                    handle.put(Message(MessageType.CONTROL, number))
            except EdgeClosed:
                if not entered:
                    sent.remove(item)
                raise

    feed.__name__ = name
    return feed


def _put(handle: Any, item: Route, patience: float | None) -> bool:
    try:
        handle.put(item, timeout=patience)
    except TimeoutError:
        sleep(0.0001)
        return False
    return True


def _read(rng: random.Random, world: World, member: Member) -> None:
    """Where a member's output goes when no other member takes it: nowhere, or to a thread at an exposed output."""
    if rng.random() < 0.4:
        return
    name = f"reader-{member.name}"
    options, sure = _edge(rng, world, name)
    world.graph.expose_output(name, (member.name, "out"), **options)
    world.read[name] = []
    world.sure[member.name, name] = sure
    pause = rng.choice([0.0, 0.0, 0.001])

    def read(scheduler: Scheduler) -> None:
        for message in scheduler.output(name):
            if message.is_data():
                world.read[name].append(message.payload)
            sleep(pause)

    read.__name__ = name
    world.threads.append(read)


def _faults(rng: random.Random) -> list[Fault]:
    """Another mix for each seed, most often only a few kinds."""
    faults: list[Fault] = []
    if rng.random() < 0.4:
        faults.append(HandlerRaises(rng.choice([0.01, 0.2])))
    if rng.random() < 0.4:
        faults.append(HandlerHangs(rng.choice([0.01, 0.05]), seconds=rng.choice([None, 0.03])))
    if rng.random() < 0.4:
        faults.append(PutTimesOut(0.3))
    return faults


def _tune(scheduler: Scheduler, edge: str, what: str, where: float) -> None:
    if what == "band":
        scheduler.set_priority(edge, PriorityBand.HIGH)
    else:
        scheduler.set_capacity(edge, 1 + int(where * 10) % 4)


def _meddler(rng: random.Random, world: World) -> Callable[[Scheduler], None]:
    """A thread that changes things under way: bands, capacities, pauses, questions, now and then a stop."""
    edges = [edge.id for edge in world.graph.edges]
    names = list(world.graph.nodes)
    script = [(rng.choice(["band", "capacity", "pause", "resume", "look"]), rng.random()) for _ in range(8)]
    if rng.random() < 0.2:
        script.append(("stop", 0.0))
        world.drained = False

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
                scheduler.shutdown(drain=False, timeout=0.05)
            sleep(where / 500)

    return meddle


def run(seed: int) -> Simulation:
    """Simulate the member of the family that a seed stands for; SimulationFailed if anything does not hold."""
    world = draw(seed)
    return simulate(
        world.graph,
        seed=seed,
        until=world.until,
        threads=world.threads,
        faults=world.faults,
        check=world.check,
        config=world.config,
        interleave=world.interleave,
        max_steps=300_000,
        replay=AGAIN,
    )
