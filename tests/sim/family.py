"""A family of graphs for simulations: each seed draws another one, the threads around it, and what may go wrong.

Payloads are (origin, number, nodes passed...), so every node sees on which route a message came. Numbers rise along a
route, whatever is dropped: an earlier or an equal one was overtaken, or delivered twice. On a route whose edges all
Block, everything that was sent arrives.
"""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from graphflow import (
    EdgeClosed,
    ErrorPolicy,
    Message,
    MessageType,
    Node,
    PriorityBand,
    Scheduler,
    SchedulerConfig,
    Subgraph,
    block,
    coalesce,
    drop,
    latest,
)
from graphflow.core.operators import FlatMap, Map
from graphflow.nodes.steps import StepNode
from graphflow.testing import Fault, HandlerHangs, HandlerRaises, PutTimesOut, Simulation, simulate, sleep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

AGAIN = "make sim SIM_SEED={seed}"
KINDS = (
    "plain",
    "plain",
    "step",
    "step",
    "flat step",
    "generator",
    "ticker",
    "concurrent",
    "unordered",
    "retry",
    "dedicated",
)
STAGED = (
    "step",
    "flat step",
    "concurrent",
    "unordered",
    "retry",
)  # what they emit is sent when the hook has returned, or not at all
Route = Any  # a tuple: origin, number, names of nodes


class Member(Node):
    """Notes what it sees, and passes it on with its name added."""

    inputs: Any = "in"
    outputs: Any = "out"

    def __init__(self, name: str, kind: str) -> None:
        Node.__init__(self, name)
        self.kind = kind
        self.seen: list[Route] = []  # as handlers were first called with them
        self.sent: list[Route] = []
        self.ticks = 0
        self.controls = 0
        if kind in ("concurrent", "unordered"):
            self.max_concurrency = 2
            self.ordered = kind == "concurrent"
        if kind == "retry":
            self.error_policy = ErrorPolicy.retry(20, backoff_s=0.001)
        self.dedicated = kind == "dedicated"

    def _pass(self, payload: Route) -> Route:
        if not (self.kind == "retry" and payload in self.seen):  # there it comes once an attempt
            self.seen.append(payload)
        passed = (*payload, self.name)
        self.sent.append(passed)
        return passed


class Plain(Member):
    def on_message(self, port: str, msg: Message) -> None:
        if msg.is_control():
            self.controls += 1
            self.emit("out", msg)
        else:
            self.emit("out", self._pass(msg.payload))


class Generator(Member):
    def on_message(self, port: str, msg: Message) -> Iterator[Any]:
        if msg.is_control():
            self.controls += 1
            yield msg
        else:
            yield self._pass(msg.payload)


class Step(Member, StepNode):
    """Compiled: it takes its messages in batches."""

    def __init__(self, name: str, kind: str) -> None:
        Member.__init__(self, name, kind)
        self.operator = Map(self._pass) if kind == "step" else FlatMap(self._spread)

    def _spread(self, payload: Route) -> Iterator[Route]:
        yield self._pass(payload)

    def on_message(self, port: str, msg: Message) -> None:
        self.emit("out", self._pass(msg.payload) if msg.is_data() else msg)


class Ticker(Plain):
    tick_interval_ms = 2.0

    def on_tick(self) -> None:
        self.ticks += 1
        if self.ticks <= 20:
            self.sent.append(("tick", self.ticks, self.name))
            self.emit("out", self.sent[-1])

    def on_drain(self) -> None:
        self.sent.append(("drain", 0, self.name))
        self.emit("out", self.sent[-1])


class Origin(Member):
    """A source of numbers."""

    inputs: Any = ()

    def __init__(self, name: str, count: int) -> None:
        super().__init__(name, "origin")
        self.count = count

    def produce(self) -> Iterator[Any]:
        for number in range(self.count):
            self.sent.append((self.name, number))
            yield self.sent[-1]


@dataclass
class World:
    """What a seed has drawn."""

    graph: Subgraph
    config: SchedulerConfig
    threads: list[Callable[[Scheduler], object]]
    faults: list[Fault]
    until: float
    interleave: Any
    sure: dict[tuple[str, str], bool] = field(default_factory=dict)  # (from, to): nothing is lost on the way
    sent: dict[str, list[Route]] = field(default_factory=dict)  # by feeder
    read: dict[str, list[Route]] = field(default_factory=dict)  # by output
    loose: set[str] = field(default_factory=set)  # who reads an edge that conflates by key: no order there
    drained: bool = True  # nobody asks for a stop without a drain

    def check(self, scheduler: Scheduler) -> None:
        """What must hold beyond the simulation's own rules."""
        members = {node.name: node for node in self.graph.nodes.values() if isinstance(node, Member)}
        for node in members.values():
            self._check_routes(node.name, node.seen, members)
        for name, seen in self.read.items():
            self._check_routes(name, seen, members)
        if not self.drained:
            return
        for (source, target), sure in self.sure.items():
            arrived = members[target].seen if target in members else self.read.get(target, [])
            sent = members[source].sent if source in members else self.sent[source]
            came = [route for route in arrived if came_from(route) == source]
            assert set(came) <= set(sent), f"{target} got from {source} what it never sent"
            if sure and not self._may_miss(members.get(source), members.get(target)):
                assert sorted(came) == sorted(set(sent)), (
                    f"{target} got {len(came)} of the {len(sent)} messages that {source} sent it: "
                    f"{sorted(set(sent) - set(came))[:3]} are missing"
                )

    def _check_routes(self, name: str, seen: list[Route], members: dict[str, Member]) -> None:
        """On each route the numbers rise, but for nodes and edges that give no order."""
        loose = self.loose | {node.name for node in members.values() if node.kind == "unordered"}
        noted_at_once = name in members and members[name].kind in ("concurrent", "unordered")
        by_route = defaultdict(list)
        for origin, number, *passed in seen:
            by_route[origin, *passed].append(number)
        for route, numbers in by_route.items():
            assert len(set(numbers)) == len(numbers), f"{name}: a message of {route} came twice: {numbers}"
            if not (noted_at_once or loose.intersection([name, *route[1:]])):
                assert numbers == sorted(numbers), f"{name}: messages of {route} came out of order: {numbers}"

    def _may_miss(self, source: Member | None, target: Member | None) -> bool:
        """Is there another reason why the target has not noted what the source has?"""
        failing = any(isinstance(fault, HandlerRaises) for fault in self.faults)
        return (target is not None and failing) or (source is not None and source.kind in STAGED and failing)


def came_from(route: Route) -> str:
    """The node or thread that sent a payload on its last leg."""
    return str(route[-1] if len(route) > 2 else route[0])


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
