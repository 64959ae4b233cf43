"""Random graphs of every kind of node, policy, bound and end: nothing is lost, doubled or reordered."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from graphs import DEADLINE_S, Source, assert_graph_conserved, scheduler_of, until

from graphflow import ErrorPolicy, Message, Node, Scheduler, ShutdownReport, Subgraph, block, coalesce, drop, latest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

GRAPHS = 150  # about five seconds
KINDS = ("plain", "generator", "concurrent", "unordered", "retry", "letters", "async", "async concurrent", "stream")
ENDS = ("by itself", "drain", "no drain")


class Worker(Node):
    """Passes on what it gets, as (its name, number, origin); fails as often as the test has drawn."""

    inputs: Any = "in"
    outputs: Any = ("out", "errors")

    def __init__(self, name: str, kind: str, rng: random.Random) -> None:
        super().__init__(name)
        self.kind = kind
        self.chance = rng.choice([0.0, 0.3])
        self.seed = rng.random()
        self.lock = threading.Lock()
        self.seen: list[Any] = []  # as the handler was first called with them
        self.attempts: Counter[Any] = Counter()
        if kind in ("concurrent", "unordered", "async concurrent"):
            self.max_concurrency = rng.randint(2, 4)
            self.ordered = kind != "unordered"
        if kind == "retry" or (kind != "letters" and rng.random() < 0.3):
            self.error_policy = ErrorPolicy.retry(3, backoff_s=rng.choice([0, 0.0005]), jitter=0.5)
        elif kind == "letters":
            self.error_policy = ErrorPolicy.dead_letter("errors")

    def begin(self, payload: Any) -> bool:
        """Note the message; True if this attempt at it is to fail."""
        with self.lock:
            attempt = self.attempts[payload] = self.attempts[payload] + 1
            if attempt == 1:
                self.seen.append(payload)
        return random.Random(f"{self.seed} {payload} {attempt}").random() < self.chance

    def on_message(self, port: str, msg: Message) -> Any:
        fails = self.begin(msg.payload)
        self.emit("out", (self.name, msg.payload))
        if fails:
            raise ValueError(msg.payload)


class Generating(Worker):
    def on_message(self, port: str, msg: Message) -> Iterator[Any]:
        fails = self.begin(msg.payload)
        yield "out", (self.name, msg.payload)
        if fails:
            raise ValueError(msg.payload)


class Awaiting(Worker):
    async def on_message(self, port: str, msg: Message) -> None:
        fails = self.begin(msg.payload)
        self.emit("out", (self.name, msg.payload))
        for _ in range(hash(msg.payload) % 3):
            await asyncio.sleep(0)
        if fails:
            raise ValueError(msg.payload)


class Streaming(Worker):
    async def on_message(self, port: str, msg: Message) -> AsyncIterator[Any]:
        fails = self.begin(msg.payload)
        await asyncio.sleep(0)
        yield "out", (self.name, msg.payload)
        if fails:
            raise ValueError(msg.payload)


class AsyncSource(Node):
    outputs: Any = "out"

    def __init__(self, name: str, items: list[Any]) -> None:
        super().__init__(name)
        self.items = items

    async def produce(self) -> AsyncIterator[Any]:
        for number, item in enumerate(self.items):
            if number % 5 == 0:
                await asyncio.sleep(0)
            yield item


CLASSES = {"generator": Generating, "async": Awaiting, "async concurrent": Awaiting, "stream": Streaming}


@dataclass
class Case:
    """A graph that was drawn."""

    graph: Subgraph
    config: dict[str, Any]
    end: str
    workers: dict[str, Worker] = field(default_factory=dict)
    lossless: dict[str, bool] = field(default_factory=dict)  # of each worker: all its input edges Block
    sources: dict[str, int] = field(default_factory=dict)


def draw(rng: random.Random) -> Case:
    """Sources, workers in layers (each fed by one to three earlier nodes), edges with policies and capacities."""
    config = {"workers": rng.randint(1, 4), "max_batch_per_node": rng.choice([1, 3, 64]), "shutdown_timeout_s": 30.0}
    case = Case(Subgraph("random"), config, rng.choice(ENDS))
    earlier: list[tuple[str, str]] = []
    for number in range(rng.randint(1, 2)):
        name = f"source{number}"
        count = case.sources[name] = rng.randint(0, 60)
        items = [(name, each) for each in range(count)]
        case.graph.add_node(rng.choice([Source, AsyncSource])(name, items))
        earlier.append((name, "out"))
    for number in range(rng.randint(1, 6)):
        name, kind = f"node{number}", rng.choice(KINDS)
        node = case.workers[name] = CLASSES.get(kind, Worker)(name, kind, rng)
        case.graph.add_node(node)
        case.lossless[name] = True
        for feeder in rng.sample(earlier, rng.randint(1, min(3, len(earlier)))):
            policy: Any = rng.choice([block(), block(), block(), drop(), latest(), coalesce(lambda _, new: new)])
            case.lossless[name] = case.lossless[name] and type(policy) is type(block())
            case.graph.connect(feeder, (name, "in"), capacity=rng.choice([1, 2, 7, 100]), policy=policy)
        earlier.append((name, "out"))
    return case


def run(case: Case, rng: random.Random) -> tuple[Scheduler, ShutdownReport]:
    scheduler = scheduler_of(case.graph, **case.config)
    scheduler.start()
    if case.end != "by itself":
        threshold = rng.randint(0, 20)
        until(lambda: sum(len(node.seen) for node in case.workers.values()) >= threshold or not scheduler.is_running())
        scheduler.shutdown(drain=case.end == "drain")
    return scheduler, scheduler.wait(DEADLINE_S)


def check(case: Case, scheduler: Scheduler, report: ShutdownReport) -> None:
    assert_graph_conserved(case.graph)
    assert report.abandoned == ()
    assert not report.timed_out
    counts = scheduler.get_stats()["nodes"]
    for name, node in case.workers.items():
        edges = [edge for edge in case.graph.edges if edge.target_node == name]
        counted = counts[name]
        delivered = sum(edge.stats().delivered for edge in edges)
        named = ("handled", "failed", "dead_lettered", "in_handler", "held", "abandoned")
        assert delivered == sum(counted[what] for what in named), (name, node.kind, counted)
        assert counted["in_handler"] == counted["held"] == 0, (name, counted)
        assert max(Counter(node.seen).values(), default=0) <= 1, f"{name} was given a message twice"
        assert len(node.seen) == delivered, (name, node.kind)
        if case.end != "no drain":
            assert counted["abandoned"] == 0, (name, counted)
            assert report.complete, report
        for edge in edges:
            check_edge(case, edge, node)


def check_edge(case: Case, edge: Any, node: Worker) -> None:
    """What came over the edge is in order, and all of what its source sent if it blocks."""
    came = [payload for payload in node.seen if payload[0] == edge.source_node]
    before = case.workers.get(edge.source_node)
    if before is None:
        sent = [(edge.source_node, each) for each in range(case.sources[edge.source_node])]
    else:
        sent = [(edge.source_node, payload) for payload in before.seen]
    if node.kind in ("concurrent", "unordered"):  # its handlers note a message in the order in which they run
        came.sort(key=str)
        sent.sort(key=str)
    elif before is not None and before.kind in ("concurrent", "unordered"):
        if before.kind == "concurrent":  # what it sends is in the order of each of its inputs all the same
            for source in case.sources:
                numbers = [payload[1][1] for payload in came if payload[1][0] == source]
                assert numbers == sorted(numbers), (edge.id, source)
        came.sort(key=str)
        sent.sort(key=str)
    whole = case.end == "by itself" and case.lossless[node.name] and (before is None or keeps_all(before))
    if whole:
        assert came == sent, (edge.id, node.kind)
    else:
        rest = iter(sent)
        assert all(payload in rest for payload in came), (edge.id, node.kind)


def keeps_all(node: Worker) -> bool:
    """Does it send something for everything that it gets?"""
    return node.chance == 0 or node.error_policy is None or node.error_policy.kind != "retry"


def test_random_graphs_lose_double_and_reorder_nothing(rng: random.Random) -> None:
    for number in range(GRAPHS):
        drawn = random.Random(rng.random())
        case = draw(drawn)
        print(number, case.end, {name: node.kind for name, node in case.workers.items()})
        scheduler, report = run(case, drawn)
        check(case, scheduler, report)
