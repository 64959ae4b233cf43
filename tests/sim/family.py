"""A family of graphs for simulations: each seed draws another one, the threads around it, and what may go wrong.

Payloads are (origin, number, nodes passed...), so every node sees on which route a message came. Numbers rise along a
route, whatever is dropped: an earlier or an equal one was overtaken, or delivered twice. On a route whose edges all
Block, everything that was sent arrives.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import Any

from members import Member, Origin, Route, draw_member
from threads import feeder, meddler, reader, stopper
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
    # What has come to the family later has numbers of its own: all else is as it was without.
    widths = random.Random(f"{seed}: widths")
    members = [draw_member(rng, number, widths) for number in range(rng.randint(1, 5))]
    graph = Subgraph.from_nodes("family", members)
    world = World(graph, [], _faults(rng), rng.choice([0.005, 0.05, 0.2]), rng.choice(["handlers", "sections"]), seed)
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
    _let_rest(random.Random(f"{seed}: rests"), world)
    _share(random.Random(f"{seed}: shares"), world)
    _record(random.Random(f"{seed}: recorder"), world)
    _narrow(random.Random(f"{seed}: outboxes"), world)
    _carry(random.Random(f"{seed}: contexts"), world)
    _stop_early(random.Random(f"{seed}: early stop"), world)
    return world


def _let_rest(rng: random.Random, world: World) -> None:
    """Some members rest in sleep() at each message, or value."""
    for node in world.members.values():
        if rng.random() < 0.1:
            node.rest_s = rng.choice([0.0005, 0.01])


def _record(rng: random.Random, world: World) -> None:
    """Most often a small flight recorder: it wraps round, and costs no half megabyte to make."""
    world.config = replace(world.config, flight_recorder_bytes=rng.choice([0, 64, 1024, 4096, 4096, 4096, 65536]))


def _narrow(rng: random.Random, world: World) -> None:
    """The outbox limit is less than the edges of a port."""
    most = max(Counter(edge.source_node for edge in world.graph.edges).values(), default=1)
    if most > 1 and rng.random() < 0.3:
        world.config = replace(world.config, outbox_limit=rng.randint(1, most - 1))


def _carry(rng: random.Random, world: World) -> None:
    """Some members, of half of the graphs, ask for the context of who has put or emitted their messages."""
    chance = rng.choice([0.0, 0.5])
    for node in world.members.values():
        node.carry_context = bool(node.inputs) and rng.random() < chance
    for source, target in world.sure:
        node_asks = target in world.members and world.members[target].carry_context
        input_asks = source not in world.members and target in world.carrying_inputs
        world.carries[source, target] = node_asks or input_asks


def _stop_early(rng: random.Random, world: World) -> None:
    """A thread stops the run while a node rests in its on_start."""
    if rng.random() < 0.03:
        node = rng.choice(list(world.members.values()))
        node.rest_at_start_s = rng.choice([0.002, 0.05])
        node.at_start = stopper(rng)
        world.drained = False


def _share(rng: random.Random, world: World) -> None:
    """How the bands share the turns, and one of them may have no more than one."""
    ratio = rng.choice([(4, 2, 1), (4, 2, 1), (1, 1, 1), (1, 2, 4), (2, 1, 3)])
    world.config = replace(world.config, fairness_ratio=ratio)


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
        carries = random.Random(f"{world.seed}: input of {member.name}").random() < 0.2
        if carries:
            world.carrying_inputs.add(member.name)
        world.graph.expose_input(f"to-{member.name}", (member.name, "in"), carry_context=carries, **options)
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
