"""A family of graphs for simulations: each seed draws another one, the threads around it, and what may go wrong.

Payloads are (origin, number, nodes passed...), so every node sees on which route a message came. Numbers rise along a
route, whatever is dropped: an earlier or an equal one was overtaken, or delivered twice. On a route whose edges all
Block, everything that was sent arrives.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

from members import Member, Origin, Route, draw_member
from threads import feeder, meddler, reader
from world import World

from graphflow import PriorityBand, SchedulerConfig, Subgraph, block, coalesce, drop, latest
from graphflow.testing import Fault, HandlerHangs, HandlerRaises, PutTimesOut, Simulation, simulate

AGAIN = "make sim SIM_SEED={seed}"


def newest(old: Route, new: Route) -> Route:
    """Merges by keeping the newcomer."""
    return new


def draw(seed: int) -> World:
    """The member of the family that a seed stands for."""
    rng = random.Random(seed)
    members = [draw_member(rng, number) for number in range(rng.randint(1, 5))]
    graph = Subgraph.from_nodes("family", members)
    world = World(graph, [], _faults(rng), rng.choice([0.005, 0.05, 0.2]), rng.choice(["handlers", "sections"]))
    for place, member in enumerate(members):
        _feed(rng, world, members[:place], member)
    for member in members:
        _read(rng, world, member)
    if rng.random() < 0.15:
        _lead_back(rng, world, members)
    if rng.random() < 0.5:
        world.threads.append(meddler(rng, world))
    for node in world.members.values():
        node.stops = world.stops
    world.config = SchedulerConfig(
        workers=rng.choice([1, 2, 2, 3]),
        max_batch_per_node=rng.choice([1, 2, 8, 64]),
        outbox_limit=_outbox_limit(rng, graph),
        watchdog_s=rng.choice([None, 0.02, 5.0]),
        metrics=rng.random() < 0.3,
    )
    _let_rest(random.Random(f"{seed}: rests"), world)  # numbers of its own: all else is as it was without
    return world


def _let_rest(rng: random.Random, world: World) -> None:
    """Some members rest in sleep() at each message, or value."""
    for node in world.members.values():
        if rng.random() < 0.1:
            node.rest_s = rng.choice([0.0005, 0.01])


def _outbox_limit(rng: random.Random, graph: Subgraph) -> int:
    """Most often small: a few messages to every edge of the port that has most, or even one."""
    most = max(Counter(edge.source_node for edge in graph.edges).values(), default=1)
    return rng.choice([4096, most, 2 * most, 3 * most, 8 * most])


def _edge(rng: random.Random, world: World, target: str, back: bool = False) -> tuple[dict[str, Any], bool]:
    """Options of an edge to `target`, and whether it loses nothing. `back`: it closes a cycle, and must not wait."""
    policies: list[tuple[Any, bool]] = [
        (drop, False),
        (latest, False),
        (lambda: coalesce(newest), False),
        (lambda: coalesce(newest, key=_key), False),
    ]
    policy, sure = rng.choice(policies[:2] if back else [(block, True)] * 5 + policies)
    options: dict[str, Any] = {"capacity": rng.choice([1, 1, 2, 3, 8]), "policy": policy()}
    options["priority"] = rng.choice(list(PriorityBand))
    if getattr(options["policy"], "key", None) is not None:
        world.loose.add(target)
    if rng.random() < 0.15:
        options["ttl_s"], sure = rng.choice([0.0005, 0.004, 0.02]), False
        options["capacity"] = rng.choice([2, 8, 64])
    if rng.random() < 0.25:
        options |= {"max_bytes": rng.choice([5, 10, 16]), "sizeof": _size}
    return options, sure


def _key(payload: Route) -> Any:
    return payload[1] % 3


def _size(payload: Route) -> int:
    return 1 + int(payload[1]) % 5


def _feed(rng: random.Random, world: World, before: list[Member], member: Member) -> None:
    """Something that feeds a member: earlier members, a source, or a thread at an exposed input."""
    feeders = rng.sample(before, k=min(len(before), rng.choice([0, 1, 1, 2, 3])))
    for earlier in feeders:
        options, sure = _edge(rng, world, member.name)
        world.graph.connect((earlier.name, "out"), (member.name, "in"), **options)
        world.sure[earlier.name, member.name] = sure
    if not feeders and rng.random() < 0.4:
        origin = Origin(f"origin-{member.name}", rng.randint(1, 25))
        world.graph.add_node(origin)
        options, sure = _edge(rng, world, member.name)
        world.graph.connect((origin.name, "out"), (member.name, "in"), **options)
        world.sure[origin.name, member.name] = sure
    elif not feeders:
        options, sure = _edge(rng, world, member.name)
        world.graph.expose_input(f"to-{member.name}", (member.name, "in"), **options)
        count = 70 if options["capacity"] == 64 else rng.randint(1, 25)
        for number in range(rng.choice([2, 3] if "max_bytes" in options else [1, 1, 2, 3])):
            name = f"feeder{number}-{member.name}"
            world.sure[name, member.name] = sure
            world.threads.append(feeder(rng, world, name, member.name, count))


def _read(rng: random.Random, world: World, member: Member) -> None:
    """Where a member's output goes when no other member takes it: nowhere, or to threads at an exposed output."""
    if rng.random() < 0.4:
        return
    name = f"reader-{member.name}"
    options, sure = _edge(rng, world, name)
    world.graph.expose_output(name, (member.name, "out"), **options)
    world.sure[member.name, name] = sure
    readers = rng.choice([1, 1, 1, 2, 3])
    for number in range(readers):
        world.threads.append(reader(rng, world, name, number))
    if readers > 1:
        world.loose.add(name)


def _lead_back(rng: random.Random, world: World, members: list[Member]) -> None:
    """An edge from a member to itself or to an earlier one. What has been there goes no further (a map passes all)."""
    targets = [member for member in members if member.kind != "step"]
    if not targets:
        return
    target = rng.choice(targets)
    source = rng.choice(members[members.index(target) :])
    options, sure = _edge(rng, world, target.name, back=True)
    world.graph.connect((source.name, "out"), (target.name, "in"), **options)
    world.sure[source.name, target.name] = sure
    world.rounds.add(target.name)


def _faults(rng: random.Random) -> list[Fault]:
    """Another mix for each seed, most often only a few kinds."""
    faults: list[Fault] = []
    if rng.random() < 0.4:
        faults.append(HandlerRaises(rng.choice([0.01, 0.2, 0.5])))
    if rng.random() < 0.4:
        faults.append(HandlerHangs(rng.choice([0.01, 0.05]), seconds=rng.choice([None, 0.03])))
    if rng.random() < 0.6:
        faults.append(PutTimesOut(0.6))
    return faults


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
