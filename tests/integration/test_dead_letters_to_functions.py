"""Dead letters reach the functions of nodes made of them: their edge carries nothing else."""

from __future__ import annotations

import itertools
import logging
from typing import TYPE_CHECKING, Any

import pytest
from graphs import DEADLINE_S, Collect, Source, assert_stopped_clean, run_graph, scheduler_of

from graphflow import (
    DeadLetter,
    ErrorPolicy,
    GraphValidationError,
    Message,
    MessageType,
    Node,
    PortSpec,
    Subgraph,
)
from graphflow.nodes import batch_node, filter_node, flat_map_node, map_node, node, sink_node, source_node

if TYPE_CHECKING:
    from collections.abc import Callable

LETTERS = ErrorPolicy.dead_letter("dead")


class Parse(Node):
    inputs: Any = "in"
    outputs: Any = PortSpec("dead", int)  # ERROR travels without the schema
    error_policy: ErrorPolicy | None = LETTERS

    def on_message(self, port: str, msg: Message) -> None:
        raise ValueError(msg.payload)


class Retries(Parse):
    error_policy = ErrorPolicy.retry(2, backoff_s=0, then=LETTERS)


class Concurrent(Parse):
    max_concurrency = 3


class Async(Parse):
    async def on_message(self, port: str, msg: Message) -> None:  # type: ignore[override]
        raise ValueError(msg.payload)


def story(found: list[Any]) -> list[Any]:
    assert all(isinstance(letter, DeadLetter) for letter in found)
    return sorted(letter.message.payload for letter in found)


def wired(*nodes: Node, parse: Node | None = None, **options: Any) -> Subgraph:
    """A source, a node that fails, and behind its port for dead letters the nodes."""
    first = parse or Parse("parse")
    graph = Subgraph.from_nodes("g", [Source("s", range(3)), first, *nodes])
    graph.connect("s:out", (first.name, "in"))
    graph.connect((first.name, "dead"), (nodes[0].name, "in"), **options)
    for one, other in itertools.pairwise(nodes):
        graph.connect((one.name, "out"), (other.name, "in"))
    return graph


@pytest.mark.parametrize("settings", [{}, {"max_concurrency": 3}, {"error_policy": ErrorPolicy.retry(2)}])
@pytest.mark.parametrize("kind", [Parse, Retries, Concurrent, Async])
def test_a_sink_is_called_with_the_letters(kind: type[Parse], settings: dict[str, Any]) -> None:
    saved: list[Any] = []
    graph = wired(sink_node(saved.append, "save", **settings), parse=kind("parse"))
    report = run_graph(graph)
    assert story(saved) == [0, 1, 2]
    assert_stopped_clean(graph, report)


def of(letter: DeadLetter) -> Any:
    assert letter.message is not None
    return letter.message.payload


async def later(letter: DeadLetter) -> Any:
    return of(letter)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (map_node(of, "made"), [0, 1, 2]),
        (map_node(later, "made"), [0, 1, 2]),
        (flat_map_node(lambda letter: [of(letter)] * 2, "made"), [0, 0, 1, 1, 2, 2]),
        (node(name="made")(of), [0, 1, 2]),
        (map_node(of, "made", max_concurrency=2), [0, 1, 2]),
    ],
    ids=["map", "async map", "flat map", "node", "concurrent"],
)
@pytest.mark.parametrize("options", [{}, {"ttl_s": 60.0}, {"max_bytes": 100, "sizeof": lambda letter: 1}])
def test_every_kind_is_called_and_its_result_is_data(made: Node, expected: list[Any], options: dict[str, Any]) -> None:
    last = Collect()
    graph = wired(made, last, **options)
    report = run_graph(graph)
    assert sorted(last.seen) == expected
    assert all(message.is_data() for message in last.messages)
    assert_stopped_clean(graph, report)


def test_a_filter_passes_letters_on_as_data_so_what_follows_sees_them() -> None:
    saved: list[Any] = []
    graph = wired(filter_node(lambda letter: of(letter) > 0, "some"), sink_node(saved.append, "save"))
    run_graph(graph)
    assert story(saved) == [1, 2]


def test_a_batch_collects_letters() -> None:
    last = Collect()
    run_graph(wired(batch_node(2), last))
    assert [story(batch) for batch in last.seen] == [[0, 1], [2]]


def test_of_a_fan_out_classes_and_readers_get_error_messages_and_functions_the_letters() -> None:
    saved: list[Any] = []
    log = Collect("log")
    graph = wired(sink_node(saved.append, "save"), parse=Parse("parse"))
    graph.add_node(log)
    graph.connect("parse:dead", "log:in")
    graph.expose_output("out", "parse:dead")
    scheduler = scheduler_of(graph)
    scheduler.run()
    read = list(scheduler.output("out"))
    assert story(saved) == story(log.seen) == story([message.payload for message in read]) == [0, 1, 2]
    assert all(message.is_error() for message in [*log.messages, *read])


def test_letters_share_their_trace_with_what_failed() -> None:
    last = Collect()
    run_graph(wired(filter_node(lambda letter: True, "all"), last))
    for message in last.messages:
        assert message.get_trace_id() == message.payload.message.get_trace_id()


def test_letters_cross_exposed_ports_and_nested_subgraphs() -> None:
    saved: list[Any] = []
    deep = Subgraph.from_nodes("deep", [Parse("parse")])
    deep.expose_input("in", "parse:in")
    deep.expose_output("bad", "parse:dead")
    middle = Subgraph("middle")
    middle.add_subgraph(deep)
    middle.expose_input("in", "deep:in")
    middle.expose_output("bad", "deep:bad")
    keeper = Subgraph.from_nodes("keeper", [sink_node(saved.append, "save")])
    keeper.expose_input("letters", "save:in")
    graph = Subgraph.from_nodes("g", [Source("s", range(3))])
    graph.add_subgraph(middle)
    graph.add_subgraph(keeper)
    graph.connect("s:out", "middle:in")
    graph.connect("middle:bad", "keeper:letters")
    run_graph(graph)
    assert story(saved) == [0, 1, 2]


def test_the_policy_of_the_scheduler_names_the_port_as_well() -> None:
    saved: list[Any] = []
    parse = Parse("parse")
    parse.error_policy = None
    graph = wired(sink_node(saved.append, "save"), parse=parse)
    source, save = graph.nodes["s"], graph.nodes["save"]
    source.error_policy = save.error_policy = ErrorPolicy.CONTINUE
    run_graph(graph, error_policy=LETTERS)
    assert story(saved) == [0, 1, 2]


# ---------------------------------------------------------------------------------------- nodes that have the port


def picky(value: int) -> Any:
    if value % 2:
        raise ValueError(value)
    return value


async def async_picky(value: int) -> Any:
    return picky(value)


PICKY: dict[str, Callable[..., Node]] = {
    "map": lambda **settings: map_node(picky, "picky", **settings),
    "async map": lambda **settings: map_node(async_picky, "picky", **settings),
    "filter": lambda **settings: filter_node(lambda value: picky(value) >= 0, "picky", **settings),
    "flat map": lambda **settings: flat_map_node(lambda value: [picky(value)], "picky", **settings),
    "node": lambda **settings: node(name="picky", **settings)(picky),
    "sink": lambda **settings: sink_node(picky, "picky", **settings),
    "async sink": lambda **settings: sink_node(async_picky, "picky", **settings),
    "node without outputs": lambda **settings: node(name="picky", outputs=(), **settings)(picky),
}
POLICIES: dict[str, dict[str, Any]] = {
    "letter": {"error_policy": LETTERS},
    "retry": {"error_policy": ErrorPolicy.retry(2, backoff_s=0, then=LETTERS)},
    "concurrent": {"error_policy": LETTERS, "max_concurrency": 2},
}


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("kind", PICKY)
def test_a_node_of_a_function_has_the_port_that_its_policy_names(kind: str, policy: str) -> None:
    saved: list[Any] = []
    last = Collect()
    made = PICKY[kind](**POLICIES[policy])
    graph = Subgraph.from_nodes("g", [Source("s", range(4)), made, sink_node(saved.append, "save")])
    graph.connect("s:out", "picky:in")
    graph.connect("picky:dead", "save:in")
    if len(made.outputs) == 2:
        graph.add_node(last)
        graph.connect("picky:out", "collect:in")
        assert graph.validate() == []
    report = run_graph(graph)
    assert story(saved) == [1, 3]
    assert last.seen == ([0, 2] if len(made.outputs) == 2 else [])
    assert_stopped_clean(graph, report)


def test_a_source_has_the_port_and_its_items_go_to_the_other() -> None:
    saved: list[Any] = []
    last = Collect()
    graph = Subgraph.from_nodes(
        "g", [source_node([1, None, 2], error_policy=LETTERS), last, sink_node(saved.append, "save")]
    )
    graph.connect("source:out", "collect:in")
    graph.connect("source:dead", "save:in")
    run_graph(graph)
    assert last.seen == [1, 2]
    assert story(saved) == [None]


def test_a_batch_node_has_the_port_and_a_policy_given_later_brings_it() -> None:
    assert [port.name for port in batch_node(2, error_policy=LETTERS).outputs] == ["out", "dead"]
    made = map_node(picky)
    made.error_policy = LETTERS
    assert [(port.name, port.index) for port in made.outputs] == [("out", 0), ("dead", 1)]
    made.error_policy = None
    assert [port.name for port in made.outputs] == ["out"]


def test_the_port_of_the_results_may_be_the_one_and_a_bad_name_is_refused() -> None:
    assert [port.name for port in map_node(picky, error_policy=ErrorPolicy.dead_letter("out")).outputs] == ["out"]
    with pytest.raises(ValueError, match="must not hold ':'"):
        map_node(picky, error_policy=ErrorPolicy.dead_letter("a:b"))


def test_a_class_without_the_port_is_refused_as_before() -> None:
    class Plain(Node):
        inputs = "in"
        error_policy = LETTERS

    with pytest.raises(GraphValidationError, match="BAD_ERROR_POLICY"):
        scheduler_of(Subgraph.from_nodes("g", [Plain("plain")]))


@pytest.mark.parametrize("kind", PICKY)
def test_control_and_other_errors_do_not_leave_by_the_port_of_dead_letters(kind: str) -> None:
    letters = Collect("letters")
    graph = Subgraph.from_nodes("g", [PICKY[kind](error_policy=LETTERS), letters])
    graph.connect("picky:dead", "letters:in")
    graph.expose_input("in", "picky:in")
    with scheduler_of(graph) as scheduler:
        for what in (MessageType.CONTROL, MessageType.ERROR):
            scheduler.input("in").put(Message(what, "not a letter"))
        scheduler.input("in").put(1)
        letters.expect(1)
    assert story(letters.seen) == [1]


# ---------------------------------------------------------------------------------------- ERROR messages elsewhere


class Complains(Node):
    """Sends ERROR messages of its own."""

    inputs: Any = "in"
    outputs: Any = "out"

    def on_message(self, port: str, msg: Message) -> None:
        self.emit("out", Message(MessageType.ERROR, msg.payload))


def test_error_messages_of_other_ports_pass_by_functions_and_the_end_is_told(caplog: pytest.LogCaptureFixture) -> None:
    saved: list[Any] = []
    graph = Subgraph.from_nodes(
        "g",
        [
            Source("s", range(3)),
            Complains("complains"),
            map_node(lambda value: value, "same"),
            sink_node(saved.append, "save"),
        ],
    )
    graph.connect("s:out", "complains:in")
    graph.connect("complains:out", "same:in")
    graph.connect("same:out", "save:in")
    with caplog.at_level(logging.WARNING, "graphflow.node"):
        run_graph(graph)
    assert saved == []
    told = [record for record in caplog.records if vars(record).get("event") == "error_unseen"]
    assert [vars(record)["node"] for record in told] == ["save"]  # once a node


def test_a_letter_that_fails_in_a_function_is_a_letter_about_a_letter() -> None:
    last = Collect()
    again = sink_node(lambda letter: 1 / 0, "again", error_policy=LETTERS)
    graph = wired(again)
    graph.add_node(last)
    graph.connect("again:dead", "collect:in")
    run_graph(graph)
    assert [of(letter).message.payload for letter in last.seen] == [0, 1, 2]


def test_a_foreign_letter_is_read_and_put_elsewhere_as_an_error_message() -> None:
    graph = Subgraph.from_nodes("g", [Parse("parse"), Collect()])
    graph.expose_input("in", "parse:in")
    graph.expose_output("bad", "parse:dead")
    graph.expose_input("letters", "collect:in")
    with scheduler_of(graph) as scheduler:
        scheduler.input("in").put(5)
        letter = scheduler.output("bad").get(DEADLINE_S)
        assert letter.is_error()
        scheduler.input("letters").put(letter)
        assert of(graph.nodes["collect"].expect(1)[0]) == 5  # type: ignore[attr-defined]


class Forwards(Node):
    inputs, outputs = "in", "out"

    def on_message(self, port: str, msg: Message) -> None:
        self.emit("out", msg)


class ForwardsInTurn(Node):
    inputs, outputs = "in", ("out", "other")

    def on_message(self, port: str, msg: Message) -> Any:
        yield "out", msg


class Unwraps(Forwards):
    def on_message(self, port: str, msg: Message) -> None:
        self.emit("out", msg.payload)


class Tells(Forwards):
    def on_message(self, port: str, msg: Message) -> None:
        self.emit("out", msg.payload if msg.is_error() else msg)


def warned(*nodes: Node) -> list[str]:
    return [issue.message for issue in wired(*nodes).validate() if issue.code == "ERROR_UNSEEN"]


@pytest.mark.parametrize("kind", [Forwards, ForwardsInTurn])
def test_validate_warns_where_letters_are_passed_on_to_functions(kind: type[Node]) -> None:
    (message,) = warned(kind("on"), map_node(of, "map"), sink_node(of, "save"))
    assert "parse:dead go on from 'on'" in message
    assert "end at 'save'" in message


def test_validate_does_not_warn_where_they_are_seen() -> None:
    save = [sink_node(of, "save") for _ in range(5)]
    assert warned(save[0]) == []
    assert warned(filter_node(of, "some"), save[1]) == []
    assert warned(Unwraps("on"), save[2]) == []
    assert warned(Tells("on"), save[3]) == []
    assert warned(Forwards("on"), Collect()) == []
    assert warned(Forwards("on"), Unwraps("un"), save[4]) == []


def test_validate_warns_through_nested_subgraphs() -> None:
    inner = Subgraph.from_nodes("inner", [Parse("parse"), Forwards("on")])
    inner.connect("parse:dead", "on:in")
    inner.expose_input("in", "parse:in")
    inner.expose_output("bad", "on:out")
    graph = Subgraph.from_nodes("g", [Source("s", []), sink_node(of, "save")])
    graph.add_subgraph(inner)
    graph.connect("s:out", "inner:in")
    graph.connect("inner:bad", "save:in")
    assert [issue.code for issue in graph.validate()] == ["ERROR_UNSEEN"]
    assert inner.validate() == []
