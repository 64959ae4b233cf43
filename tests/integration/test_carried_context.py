"""carry_context: a message is handled in the context of whoever put it."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import pytest
from graphs import DEADLINE_S, Collect, Map, Yield, chain, control, run_graph, scheduler_of, until

from graphflow import ErrorPolicy, Message, MessageType, Node, Scheduler, Subgraph
from graphflow.nodes import map_node

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

request: ContextVar[Any] = ContextVar("request", default=None)
RETRY = ErrorPolicy.retry(2, backoff_s=0, jitter=0)


class Tells(Node):
    """Emits (payload, the request it sees), then changes that."""

    inputs: Any = "in"
    outputs: Any = "out"

    def on_message(self, port: str, msg: Message) -> Any:
        self.emit("out", (msg.payload, request.get()))
        request.set(f"changed by {self.name}")


class TellsAsync(Tells):
    async def on_message(self, port: str, msg: Message) -> Any:
        await asyncio.sleep(0)
        self.emit("out", (msg.payload, request.get()))
        request.set(f"changed by {self.name}")


class TellsStep(Tells):
    def on_message(self, port: str, msg: Message) -> Any:
        yield msg.payload, request.get()
        request.set(f"changed by {self.name}")


def having(node: Node, **settings: Any) -> Node:
    for name, value in settings.items():
        setattr(node, name, value)
    return node


KINDS: dict[str, Callable[[], Node]] = {
    "class": lambda: Tells("node"),
    "generator": lambda: TellsStep("node"),
    "function": lambda: map_node(lambda payload: (payload, request.get()), "node"),
    "retrying": lambda: having(Tells("node"), error_policy=RETRY),
    "concurrent": lambda: having(Tells("node"), max_concurrency=2),
    "dedicated": lambda: having(Tells("node"), dedicated=True),
    "async": lambda: TellsAsync("node"),
}


def fed(graph: Subgraph, put: Callable[[Scheduler], object]) -> list[Any]:
    """What leaves "out" after put(scheduler)."""
    scheduler = scheduler_of(graph)
    with scheduler:
        put(scheduler)
        scheduler.input("in").close()
        return [msg.payload for msg in scheduler.output("out")]


def as_requests(scheduler: Scheduler) -> None:
    """Put three numbers, each in a context with a request of that number."""
    for number in range(3):
        context = contextvars.Context()
        context.run(request.set, f"request {number}")
        context.run(scheduler.input("in").put, number)


def exposed(*nodes: Node, **options: Any) -> Subgraph:
    graph = chain(*nodes)
    graph.expose_input("in", f"{nodes[0].name}:in", **options)
    graph.expose_output("out", f"{nodes[-1].name}:out")
    return graph


WANTED = [(number, f"request {number}") for number in range(3)]


@pytest.mark.parametrize("kind", KINDS)
def test_an_exposed_input_carries_the_putters_context(kind: str) -> None:
    assert fed(exposed(KINDS[kind](), carry_context=True), as_requests) == WANTED


@pytest.mark.parametrize("kind", KINDS)
def test_a_node_handles_in_the_context_of_the_node_before_it(kind: str) -> None:
    class Asks(Node):
        outputs = "out"

        def produce(self) -> Iterator[Any]:
            for number in range(3):
                request.set(f"request {number}")
                yield number

    sink = Collect("sink")
    run_graph(chain(Asks("asks"), having(KINDS[kind](), carry_context=True), sink))
    assert sink.seen == WANTED


def test_without_it_nothing_is_carried() -> None:
    assert fed(exposed(Map("node", lambda number: (number, request.get()))), as_requests) == [
        (number, None) for number in range(3)
    ]


def test_a_nodes_wish_counts_for_an_exposed_input_too_and_before_the_run() -> None:
    graph = exposed(having(Tells("node"), carry_context=True))
    scheduler = scheduler_of(graph)
    as_requests(scheduler)
    with scheduler:
        scheduler.input("in").close()
        assert [msg.payload for msg in scheduler.output("out")] == WANTED


def test_what_a_handler_in_a_carried_context_sets_goes_along_from_it() -> None:
    class Names(Node):
        inputs, outputs = "in", "out"

        def on_message(self, port: str, msg: Message) -> None:
            request.set(f"{request.get()}, named")
            self.emit("out", msg.payload)

    graph = exposed(Names("names"), having(Tells("node"), carry_context=True), carry_context=True)
    assert fed(graph, as_requests) == [(number, f"request {number}, named") for number in range(3)]


def test_a_context_goes_past_nodes_that_do_not_ask_for_it() -> None:
    graph = exposed(
        Map("first"),
        Map("between", lambda payload: (payload, request.get())),
        having(Tells("node"), carry_context=True),
        carry_context=True,
    )
    assert fed(graph, as_requests) == [((number, None), f"request {number}") for number in range(3)]


def test_a_carried_context_is_a_copy_and_the_putters_own_does_not_change() -> None:
    def put(scheduler: Scheduler) -> None:
        request.set("mine")
        scheduler.input("in").put(1)
        until(lambda: scheduler.snapshot().nodes["node"].messages == 1)
        assert request.get() == "mine"

    assert contextvars.copy_context().run(fed, exposed(Tells("node"), carry_context=True), put) == [(1, "mine")]


def test_put_many_try_put_and_aput_carry_as_well() -> None:
    def put(scheduler: Scheduler) -> None:
        request.set("mine")
        into = scheduler.input("in")
        into.put_many([1, 2])
        into.try_put(3)
        asyncio.run(into.aput(4))

    found = contextvars.copy_context().run(fed, exposed(Tells("node"), carry_context=True), put)
    assert found == [(number, "mine") for number in range(1, 5)]


def test_a_control_message_carries_too() -> None:
    def put(scheduler: Scheduler) -> None:
        request.set("mine")
        scheduler.input("in").put(control("now"))

    assert contextvars.copy_context().run(fed, exposed(Tells("node"), carry_context=True), put) == [("now", "mine")]


def test_every_attempt_begins_with_what_was_carried() -> None:
    class Flaky(Tells):
        error_policy = RETRY
        tried = 0

        def on_message(self, port: str, msg: Message) -> None:
            super().on_message(port, msg)
            self.tried += 1
            if self.tried % 2:
                raise ValueError

    assert fed(exposed(Flaky("node"), carry_context=True), as_requests) == WANTED


def test_a_suspended_generator_goes_on_in_the_carried_context() -> None:
    def spread(number: int) -> Iterator[Any]:
        for step in range(10):
            yield number, step, request.get()

    graph = Subgraph("g")
    graph.add_node(Yield("spread", spread))
    graph.expose_input("in", "spread:in", carry_context=True)
    graph.expose_output("out", "spread:out", capacity=1)
    found = fed(graph, as_requests)
    assert found == [(number, step, f"request {number}") for number in range(3) for step in range(10)]


def test_a_message_stays_the_same_for_who_put_it() -> None:
    message = Message(MessageType.DATA, 1, {"a": 1}, {"color": "red"})
    seen: list[Message] = []

    class Sees(Node):
        inputs, outputs = "in", "out"

        def on_message(self, port: str, msg: Message) -> None:
            seen.append(msg)

    fed(exposed(Sees("node"), carry_context=True), lambda scheduler: scheduler.input("in").put(message))
    assert dict(seen[0].headers) == dict(message.headers)
    assert (seen[0].payload, seen[0].metadata) == (1, {"a": 1})


def test_contexts_of_threads_do_not_mix_under_load() -> None:
    def put(scheduler: Scheduler) -> None:
        def one(number: int) -> None:
            request.set(number)
            for _ in range(200):
                scheduler.input("in").put(number)

        threads = [threading.Thread(target=one, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE_S)

    node = having(Map("node", lambda number: (number, request.get())), max_concurrency=3)
    found = fed(exposed(node, carry_context=True, capacity=8), put)
    assert sorted(found) == sorted((number, number) for number in range(4) for _ in range(200))
