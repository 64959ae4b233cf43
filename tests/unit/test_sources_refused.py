"""What a source may not send is refused; the source goes on, and its error policy applies to that item alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from graphs import Collect, assert_graph_conserved, assert_stopped_clean, run_graph, scheduler_of

from graphflow import (
    DeadLetter,
    ErrorPolicy,
    GraphValidationError,
    Message,
    MessageType,
    Node,
    PortSpec,
    SchemaError,
    Subgraph,
)
from graphflow.nodes import source_node

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

LETTERS = ErrorPolicy.dead_letter("dead")


class Yields(Node):
    """A generator."""

    outputs: Any = "out"

    def __init__(self, items: list[Any]) -> None:
        super().__init__("s")
        self.items = items
        self.told: list[tuple[type[BaseException], Any]] = []

    def produce(self) -> Any:
        yield from self.items

    def on_error(self, exc: BaseException, msg: Message | None) -> None:
        self.told.append((type(exc), None if msg is None else msg.payload))


class Returns(Yields):
    """An iterator that cannot be thrown into."""

    def produce(self) -> Any:
        return iter(self.items)


class Awaits(Yields):
    """An async generator."""

    def produce(self) -> Any:
        return self._values()

    async def _values(self) -> AsyncIterator[Any]:
        for item in self.items:
            yield item

    async def on_start(self) -> None:
        """Puts the node on the event loop."""


MAKERS: dict[str, Callable[[list[Any]], Node]] = {
    "list": lambda items: source_node(items, "s"),
    "generator": lambda items: source_node(lambda: (item for item in items), "s"),
    "produce": Yields,
    "produce returns": Returns,
    "async produce": Awaits,
}


def typed(source: Node, letters: Collect | None = None, **options: Any) -> tuple[Subgraph, Collect]:
    last = Collect("k")
    last.inputs = Collect("k").inputs
    graph = Subgraph.from_nodes("g", [source, Typed("typed", last), *([letters] if letters else [])])
    graph.connect("s:out", "typed:in", **options)
    if letters is not None:
        graph.connect("s:dead", (letters.name, "in"))
    return graph, last


class Typed(Node):
    inputs = PortSpec("in", (int, str, list))

    def __init__(self, name: str, last: Collect) -> None:
        super().__init__(name)
        self.last = last

    def on_message(self, port: str, msg: Message) -> None:
        self.last.on_message(port, msg)


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("bad", [1.5, None, Message(MessageType.DATA, {})], ids=["schema", "None", "message"])
def test_a_refused_item_is_an_error_and_the_source_goes_on(kind: str, bad: Any) -> None:
    graph, last = typed(MAKERS[kind]([1, bad, bad, 3, 4]))
    report = run_graph(graph)
    assert last.seen == [1, 3, 4]
    assert report.failed_sources == ()
    assert report.error_counts == {"s": 2}
    assert report.reason == "completed"
    assert_graph_conserved(graph)


@pytest.mark.parametrize("kind", MAKERS)
def test_an_item_larger_than_max_bytes_is_refused(kind: str) -> None:
    graph, last = typed(MAKERS[kind](["a", "b" * 50, "c"]), max_bytes=10, sizeof=len)
    report = run_graph(graph)
    assert last.seen == ["a", "c"]
    assert [type(error) for error in report.errors["s"]] == [ValueError]


@pytest.mark.parametrize("kind", ["produce", "produce returns", "async produce"])
def test_on_error_is_told_of_the_item(kind: str) -> None:
    source = MAKERS[kind]([1, 1.5, None, 2])
    run_graph(typed(source)[0])
    assert source.told == [(SchemaError, 1.5), (TypeError, None)]  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["produce", "produce returns", "async produce"])
@pytest.mark.parametrize("policy", [LETTERS, ErrorPolicy.retry(3, backoff_s=0, then=LETTERS)], ids=["letter", "retry"])
def test_a_dead_letter_carries_the_item_and_nothing_is_repeated(kind: str, policy: ErrorPolicy) -> None:
    source = MAKERS[kind]([("out", 1), ("out", 1.5), ("out", Message(MessageType.DATA, {}, {"row": 7})), ("out", 2)])
    source.outputs = Both.outputs
    source.error_policy = policy
    letters = Collect("letters")
    graph, last = typed(source, letters)
    report = run_graph(graph)
    assert_stopped_clean(graph, report)
    assert last.seen == [1, 2]
    found: list[DeadLetter] = letters.seen
    assert [letter.message.payload for letter in found if letter.message] == [1.5, {}]
    assert found[1].message is not None
    assert found[1].message.metadata == {"row": 7}
    assert {(letter.node, letter.port, letter.attempts) for letter in found} == {("s", None, 1)}
    assert report.failed_sources == ()


class Both(Node):
    outputs = ("out", "dead")


@pytest.mark.parametrize("kind", ["produce", "async produce"])
def test_pairs_that_name_no_port_are_refused_one_by_one(kind: str) -> None:
    pairs: list[Any] = [("out", 1), ("nowhere", 2), 3, ([], 4), ("out", 5, 6), ("dead", 7), ("out", 8)]
    source = MAKERS[kind](pairs)
    source.outputs = Both.outputs
    dead = Collect("dead")
    graph, last = typed(source, dead)
    report = run_graph(graph)
    assert last.seen == [1, 8]
    assert dead.seen == [7]
    assert [type(error) for error in report.errors["s"]] == [
        GraphValidationError,
        TypeError,
        GraphValidationError,
        TypeError,
    ]


@pytest.mark.parametrize("kind", ["generator", "produce", "produce returns", "async produce"])
def test_stop_node_ends_the_source_at_a_refused_item(kind: str) -> None:
    source = MAKERS[kind]([1, None, 3])
    source.error_policy = ErrorPolicy.STOP_NODE
    graph, last = typed(source)
    report = run_graph(graph)
    assert last.seen == [1]
    assert report.reason == "completed"
    assert report.error_counts == {"s": 1}


@pytest.mark.parametrize("kind", MAKERS)
def test_stop_graph_leaves_wait_with_the_refusal(kind: str) -> None:
    source = MAKERS[kind]([1, 1.5, 3])
    source.error_policy = ErrorPolicy.STOP_GRAPH
    graph, _ = typed(source)
    with pytest.raises(SchemaError, match="float"):
        run_graph(graph)


@pytest.mark.parametrize("kind", MAKERS)
def test_refused_items_are_in_none_of_the_counts_of_messages(kind: str) -> None:
    graph, _ = typed(MAKERS[kind]([1, None, 3]))
    scheduler = scheduler_of(graph)
    scheduler.run()
    node = scheduler.snapshot().nodes["s"]
    assert (node.handled, node.failed, node.dead_lettered, node.errors) == (0, 0, 0, 1)


def test_the_generator_of_a_source_is_not_told_and_clears_up_at_its_end() -> None:
    events: list[str] = []

    def values() -> Iterator[Any]:
        try:
            yield None
            events.append("went on")
            yield 1
        finally:
            events.append("cleared up")

    graph, last = typed(source_node(values, "s"))
    run_graph(graph)
    assert events == ["went on", "cleared up"]
    assert last.seen == [1]
