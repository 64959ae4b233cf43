"""KeyboardInterrupt and SystemExit leave run() whichever hook raises them; the report holds what stopped a graph."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from graphs import DEADLINE_S, Collect, Source, assert_graph_conserved, chain, scheduler_of

from graphflow import ErrorPolicy, Message, Node, Scheduler, Subgraph

if TYPE_CHECKING:
    from collections.abc import Iterator


class Fails(Node):
    inputs: Any = "in"
    outputs: Any = "out"

    def on_message(self, port: str, msg: Message) -> Any:
        raise ValueError(msg.payload)


class Plain(Fails):
    def __init__(self, fatal: BaseException) -> None:
        super().__init__("node")
        self.fatal = fatal

    def on_error(self, exc: BaseException, msg: Message | None) -> Any:
        raise self.fatal


class Async(Plain):
    async def on_error(self, exc: BaseException, msg: Message | None) -> Any:
        raise self.fatal


class Generator(Plain):
    def on_message(self, port: str, msg: Message) -> Iterator[Any]:
        yield msg.payload
        raise ValueError(msg.payload)


class Ticking(Plain):
    tick_interval_ms = 1.0
    on_message = Node.on_message

    def on_tick(self) -> None:
        raise ValueError


class Producing(Plain):
    def produce(self) -> Iterator[Any]:
        yield None


def started(node: Node) -> tuple[Subgraph, Scheduler]:
    graph = Subgraph.from_nodes("g", [Source("source", range(5)), node, Collect()])
    graph.connect("source:out", "node:in")
    graph.connect("node:out", "collect:in")
    graph.expose_input("open", "node:in")  # nothing ends by itself
    scheduler = scheduler_of(graph)
    scheduler.start()
    return graph, scheduler


@pytest.mark.parametrize("kind", [Plain, Async, Generator, Ticking, Producing])
@pytest.mark.parametrize("policy", [ErrorPolicy.CONTINUE, ErrorPolicy.retry(3), ErrorPolicy.dead_letter("out")])
@pytest.mark.parametrize("fatal", [KeyboardInterrupt, SystemExit])
def test_what_on_error_raises_to_end_the_program_leaves_wait(
    kind: type[Plain], policy: ErrorPolicy, fatal: type[BaseException]
) -> None:
    node = kind(fatal("enough"))
    node.error_policy = policy
    graph, scheduler = started(node)
    with pytest.raises(fatal, match="enough"):
        scheduler.wait(DEADLINE_S)
    assert any(error is node.fatal for error in scheduler.shutdown().errors["node"])
    assert_graph_conserved(graph)


@pytest.mark.parametrize("concurrency", [1, 3])
def test_what_a_handler_raises_to_end_the_program_is_in_the_report(concurrency: int) -> None:
    class Exits(Fails):
        max_concurrency = concurrency

        def on_message(self, port: str, msg: Message) -> None:
            sys.exit(3)

    node = Exits("node")
    _, scheduler = started(node)
    with pytest.raises(SystemExit):
        scheduler.wait(DEADLINE_S)
    report = scheduler.shutdown()
    assert [error.code for error in report.errors["node"] if isinstance(error, SystemExit)][:1] == [3]


def test_the_error_that_stopped_the_graph_is_kept_after_many_others() -> None:
    class ExitsLast(Fails):
        def on_message(self, port: str, msg: Message) -> None:
            if msg.payload == 20:
                sys.exit("last")
            raise ValueError(msg.payload)

    graph = chain(Source("source", range(30)), ExitsLast("node"), Collect())
    scheduler = scheduler_of(graph)
    with pytest.raises(SystemExit, match="last"):
        scheduler.run()
    errors = scheduler.shutdown().errors["node"]
    assert len(errors) == 8
    assert str(errors[0]) == "0"
    assert str(errors[-1]) == "last"


def test_a_policy_that_exits_while_the_outbox_is_emptied_is_an_error_of_the_node() -> None:
    class Exits:
        def on_enqueue(self, capacity: int, size: int, item: object) -> Any:
            sys.exit("in a policy")

    graph = Subgraph.from_nodes("g", [Source("source", range(5)), Collect()])
    graph.connect("source:out", "collect:in", policy=Exits())
    scheduler = scheduler_of(graph)
    with pytest.raises(SystemExit, match="in a policy"):
        scheduler.run()
    assert [str(error) for error in scheduler.shutdown().errors["source"]] == ["in a policy"]
