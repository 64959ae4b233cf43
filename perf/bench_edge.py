"""What a put and a get on an edge cost, by policy, and making messages; beside the queues of the standard library.

python perf/bench_edge.py --fast

Unless said otherwise a figure is in deque pairs: one append and one popleft of a collections.deque.
"""

from __future__ import annotations

import functools
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from figures import Figures
from pairing import Clock, Measured, add_ratio, method_call

from graphflow import (
    Block,
    Coalesce,
    Drop,
    Edge,
    Latest,
    Message,
    MessageType,
    Node,
    PortSpec,
    Scheduler,
    SchedulerConfig,
    Subgraph,
)

PAIRS = 20_000
MANY = 64


class Swallow(Node):
    """Takes all."""

    inputs = "in"


def edge(**options: Any) -> Edge:
    """An edge of no graph."""
    return Edge("a", "out", "b", "in", **options)


def pairs(put: Callable[[Any], Any], get: Callable[[], Any], item: Any = 1) -> Measured:
    """One put and one get."""

    def work(n: int, clock: Clock) -> float:
        began = clock()
        for _ in range(n):
            put(item)
            get()
        return clock() - began

    return work


def on_edge(**options: Any) -> Measured:
    """try_put and try_get on an edge."""
    made = edge(**options)
    return pairs(made.try_put, made.try_get)


def many(n: int, clock: Clock) -> float:
    """put_many and get_many of MANY items, counted by items."""
    made, items = edge(), list(range(MANY))
    began = clock()
    for _ in range(n // MANY):
        made.put_many(items)
        made.get_many(MANY)
    return clock() - began


def calls(function: Callable[[], object]) -> Measured:
    """Calls of a function without arguments."""

    def work(n: int, clock: Clock) -> float:
        began = clock()
        for _ in range(n):
            function()
        return clock() - began

    return work


@functools.cache
def running(metrics: bool) -> tuple[Scheduler, Edge]:
    """A running scheduler whose one node is paused, and the edge into it. The interpreter's exit ends it."""
    graph = Subgraph.from_nodes("edge", [Swallow("sink")])
    graph.expose_input("in", "sink:in")
    scheduler = Scheduler(SchedulerConfig(workers=1, metrics=metrics))
    scheduler.register(graph)
    scheduler.pause("sink")
    scheduler.start()
    return scheduler, graph.edges[0]


def on_running_edge(metrics: bool) -> Measured:
    """try_put and try_get on it."""

    def work(n: int, clock: Clock) -> float:
        _, made = running(metrics)
        return pairs(made.try_put, made.try_get)(n, clock)

    return work


def crossing(make: Callable[[], tuple[Callable[[Any], Any], Callable[[], Any]]], threads: int) -> Measured:
    """Items through one queue from half of the threads to the other half."""

    def work(n: int, clock: Clock) -> float:
        put, get = make()
        share = n // (threads // 2)
        ready = threading.Barrier(threads + 1)

        def run(call: Callable[[], Any]) -> None:
            ready.wait()
            for _ in range(share):
                call()

        sides: list[Callable[[], Any]] = [lambda: put(1), get]
        workers = [threading.Thread(target=run, args=(sides[number % 2],)) for number in range(threads)]
        for worker in workers:
            worker.start()
        ready.wait()
        began = clock()
        for worker in workers:
            worker.join()
        return clock() - began

    return work


def an_edge() -> tuple[Callable[[Any], Any], Callable[[], Any]]:
    """The blocking calls of a new edge."""
    made = edge()
    return made.put, made.get


def a_simple_queue() -> tuple[Callable[[Any], Any], Callable[[], Any]]:
    """The same of a SimpleQueue."""
    made: queue.SimpleQueue[Any] = queue.SimpleQueue()
    return made.put, made.get


def main() -> None:
    """Measure all."""
    figures = Figures()
    policies = {"block": Block(), "drop": Drop(), "latest": Latest(), "coalesce": Coalesce(lambda old, new: new)}
    for name, policy in policies.items():
        add_ratio(figures, f"edge.{name}", on_edge(default_policy=policy), PAIRS)
    add_ratio(figures, "edge.typed", on_edge(spec=PortSpec("in", int)), PAIRS)
    by_key = Coalesce(lambda old, new: new, key=lambda item: item)
    add_ratio(figures, "edge.by_key", on_edge(default_policy=by_key), PAIRS // 5)
    add_ratio(figures, "edge.many", many, PAIRS)

    simple: queue.SimpleQueue[int] = queue.SimpleQueue()
    plain: queue.Queue[int] = queue.Queue(1024)
    add_ratio(figures, "edge.over_SimpleQueue", on_edge(), PAIRS, yard=pairs(simple.put, simple.get), yards=PAIRS)
    add_ratio(
        figures,
        "edge.over_Queue",
        on_edge(),
        PAIRS * 5,
        yard=pairs(plain.put, plain.get),
        yards=PAIRS // 5,
        hold="loose",
    )
    off, on = on_running_edge(metrics=False), on_running_edge(metrics=True)
    add_ratio(figures, "edge.metrics_on", on, PAIRS, yard=off, yards=PAIRS, hold="overhead")

    message = Message(MessageType.DATA, 1, headers={"k": 1})
    data = MessageType.DATA
    making = {
        "new": lambda: Message(data, 1),
        "with_payload": lambda: message.with_payload(2),
        "with_headers": lambda: message.with_headers(a=1),
    }
    for name, make in making.items():
        add_ratio(figures, f"message.{name}", calls(make), PAIRS, yard=method_call)

    for threads in (2, 4):
        add_ratio(
            figures,
            f"edge.{threads}_threads_over_SimpleQueue",
            crossing(an_edge, threads),
            PAIRS // 2,
            yard=crossing(a_simple_queue, threads),
            yards=PAIRS // 2,
            clock=time.perf_counter,
            hold="loose",
        )


if __name__ == "__main__":
    main()
