"""Nodes made from a function: what they send, what they pass on, and what they refuse."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from graphs import DEADLINE_S, Collect, Source, chain, control, run_graph, scheduler_of

from graphflow import (
    ErrorPolicy,
    GraphValidationError,
    Message,
    MessageType,
    Node,
    PortSpec,
    Subgraph,
    latest,
)
from graphflow.nodes import batch_node, filter_node, flat_map_node, map_node, node, sink_node, source_node

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# How an edge makes a step leave the compiled loop: it wraps what it holds, or the node has a call book.
SLOW_EDGE: dict[str, Any] = {"ttl_s": 1000.0}
ROUTES = {
    "compiled": ({}, {}),
    "wrapped": (SLOW_EDGE, {}),
    "retrying": ({}, {"error_policy": ErrorPolicy.retry(2)}),
}
by_each_route = pytest.mark.parametrize(("edge", "settings"), ROUTES.values(), ids=ROUTES)


def sent_by(made: Node, items: Any, edge: dict[str, Any] | None = None, **config: Any) -> list[Message]:
    """What a node sends for some items, and nothing else went wrong."""
    collect = Collect()
    report = run_graph(chain(Source("source", items), made, collect, **(edge or {})), **config)
    assert report.complete
    assert not report.errors
    return collect.messages


def payloads(messages: list[Message]) -> list[Any]:
    return [message.payload for message in messages]


def double(number: int) -> int:
    return 2 * number


def odd(number: int) -> bool:
    return number % 2 == 1


async def _nothing() -> None:
    """Awaited by nobody."""


coroutine: Any = _nothing


def repeat(number: int) -> Iterator[int]:
    yield from [number] * number


# ============================================================================================ what they send


@by_each_route
def test_map_sends_what_the_function_makes(edge: dict[str, Any], settings: Any) -> None:
    assert payloads(sent_by(map_node(double, **settings), range(500), edge)) == list(range(0, 1000, 2))


@by_each_route
def test_filter_sends_on_the_messages_that_match_themselves(edge: dict[str, Any], settings: Any) -> None:
    given = [Message(MessageType.DATA, number, metadata={"number": number}) for number in range(300)]
    got = sent_by(filter_node(odd, **settings), given, edge)
    assert [id(message) for message in got] == [id(message) for message in given[1::2]]


@by_each_route
def test_flat_map_sends_each_value(edge: dict[str, Any], settings: Any) -> None:
    assert payloads(sent_by(flat_map_node(repeat, **settings), range(40), edge)) == [
        number for number in range(40) for _ in range(number)
    ]


def test_flat_map_takes_any_iterable() -> None:
    assert payloads(sent_by(flat_map_node(lambda word: word.split()), ["a b", "", "c"])) == ["a", "b", "c"]


@by_each_route
def test_batch_sends_full_lists_and_the_rest_at_the_end(edge: dict[str, Any], settings: Any) -> None:
    assert payloads(sent_by(batch_node(4, **settings), range(10), edge)) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


@by_each_route
def test_sink_calls_the_function_with_each_payload(edge: dict[str, Any], settings: Any) -> None:
    seen: list[int] = []
    assert run_graph(chain(Source("source", range(200)), sink_node(seen.append, **settings), **edge)).complete
    assert seen == list(range(200))


def test_source_sends_an_iterable_and_ends() -> None:
    collect = Collect()
    assert run_graph(chain(source_node(range(100)), collect)).reason == "completed"
    assert collect.seen == list(range(100))


def test_source_calls_a_function_at_each_start() -> None:
    collect = Collect()
    scheduler = scheduler_of(chain(source_node(lambda: (letter for letter in "ab")), collect))
    for _ in range(2):
        scheduler.start()
        scheduler.wait(DEADLINE_S)
    assert collect.seen == ["a", "b", "a", "b"]


@by_each_route
def test_headers_are_carried_over(edge: dict[str, Any], settings: Any) -> None:
    given = [
        Message(MessageType.DATA, number, headers={"trace_id": f"{number:032x}", "k": number}) for number in (1, 2)
    ]
    for made in (map_node(double, **settings), flat_map_node(lambda n: [n], **settings), filter_node(bool, **settings)):
        assert [message.headers["k"] for message in sent_by(made, given, edge)] == [1, 2]
        assert [message.get_trace_id() for message in given] == [f"{number:032x}" for number in (1, 2)]


def test_a_message_that_somebody_else_holds_is_not_changed() -> None:
    """A map reuses a message only where it has the last reference to it."""
    held = [Message(MessageType.DATA, number) for number in range(100)]
    graph = Subgraph.from_nodes("g", [source_node(list(held)), map_node(double, "left"), map_node(str, "right")])
    left, right = Collect("l"), Collect("r")
    graph.add_node(left)
    graph.add_node(right)
    for source, target in (("source", "left"), ("source", "right"), ("left", "l"), ("right", "r")):
        graph.connect((source, "out"), (target, "in"))
    run_graph(graph)
    assert [message.payload for message in held] == list(range(100))
    assert left.seen == [2 * number for number in range(100)]
    assert right.seen == [str(number) for number in range(100)]
    assert [m.get_trace_id() for m in left.messages] == [m.get_trace_id() for m in held]
    assert [m.get_trace_id() for m in right.messages] == [m.get_trace_id() for m in held]


def test_a_fan_out_after_a_map_gives_both_sides_its_own_result() -> None:
    graph = Subgraph.from_nodes(
        "g", [source_node(range(300)), map_node(double), map_node(str, "a"), map_node(abs, "b")]
    )
    sides = Collect("left"), Collect("right")
    for side in sides:
        graph.add_node(side)
    edges = [("source", "double"), ("double", "a"), ("double", "b"), ("a", "left"), ("b", "right")]
    for source, target in edges:
        graph.connect((source, "out"), (target, "in"))
    run_graph(graph, workers=2)
    assert sides[0].seen == [str(2 * number) for number in range(300)]
    assert sides[1].seen == [2 * number for number in range(300)]


@by_each_route
def test_a_result_that_is_a_message_is_sent_as_it_is(edge: dict[str, Any], settings: Any) -> None:
    made = Message(MessageType.DATA, "own", headers={"k": 1})
    assert sent_by(map_node(lambda _: made, **settings), [1], edge) == [made]


@by_each_route
@pytest.mark.parametrize("kind", [MessageType.CONTROL, MessageType.ERROR])
def test_other_messages_pass_on_unchanged(kind: MessageType, edge: dict[str, Any], settings: Any) -> None:
    other = Message(kind, "not a number")
    makers: list[Callable[..., Node]] = [
        lambda **all: map_node(double, **all),
        lambda **all: filter_node(odd, **all),
        lambda **all: flat_map_node(repeat, **all),
        lambda **all: batch_node(5, **all),
        lambda **all: node(**all)(double),
    ]
    for make in makers:
        got = sent_by(make(**settings), [other], edge)
        assert [id(message) for message in got] == [id(other)]


@by_each_route
def test_sink_leaves_other_messages(edge: dict[str, Any], settings: Any) -> None:
    seen: list[Any] = []
    items = [1, Message(MessageType.ERROR, "e"), control("c"), 2]
    assert run_graph(chain(Source("source", items), sink_node(seen.append, **settings), **edge)).complete
    assert seen == [1, 2]


def test_a_raw_value_on_the_edge_is_handled_like_a_message() -> None:
    graph = chain(map_node(double), collect := Collect())
    graph.expose_input("in", "double:in")
    with scheduler_of(graph) as scheduler:
        scheduler.input("in").put_many(range(200))
    assert collect.seen == list(range(0, 400, 2))


# ============================================================================================ the decorator


def test_node_makes_a_node_of_a_function() -> None:
    @node
    def halve(number: int) -> int | None:
        """Half of it."""
        return number // 2 if number % 2 == 0 else None

    assert isinstance(halve, Node)
    assert halve.name == "halve"
    assert halve(10) == 5
    assert payloads(sent_by(halve, range(6))) == [0, 1, 2]
    assert payloads(sent_by(halve.another("again"), [4])) == [2]


def test_node_takes_settings_ports_and_a_name() -> None:
    seen = []

    @node(name="keep", inputs=PortSpec("numbers", int), outputs=(), error_policy=ErrorPolicy.STOP_GRAPH)
    def sink(number: int) -> str:
        seen.append(number)
        return "ignored"

    assert (sink.name, sink.error_policy, sink.outputs) == ("keep", ErrorPolicy.STOP_GRAPH, ())
    graph = Subgraph.from_nodes("g", [Source("source", [1, 2]), sink])
    graph.connect("source:out", "keep:numbers")
    run_graph(graph)
    assert seen == [1, 2]


def test_node_of_a_generator_function_sends_what_it_yields() -> None:
    assert payloads(sent_by(node(repeat), [2, 3])) == [2, 2, 3, 3, 3]


def test_coroutine_functions_are_awaited() -> None:
    async def slow_double(number: int) -> int:
        await asyncio.sleep(0)
        return 2 * number

    async def slow_odd(number: int) -> bool:
        await asyncio.sleep(0)
        return number % 2 == 1

    assert payloads(sent_by(map_node(slow_double, max_concurrency=4), range(20))) == list(range(0, 40, 2))
    assert payloads(sent_by(filter_node(slow_odd), range(20))) == list(range(1, 20, 2))
    assert payloads(sent_by(node(slow_double), range(3))) == [0, 2, 4]
    seen: list[int] = []

    async def keep(number: int) -> None:
        seen.append(number)

    run_graph(chain(Source("source", range(3)), sink_node(keep)))
    assert seen == [0, 1, 2]


def test_an_object_whose_call_is_a_coroutine_function_is_awaited() -> None:
    class Doubles:
        async def __call__(self, number: int) -> int:
            return 2 * number

    assert payloads(sent_by(map_node(Doubles(), "doubles"), range(3))) == [0, 2, 4]


# ============================================================================================ settings and refusals


def test_settings_are_the_nodes_attributes() -> None:
    made = map_node(double, max_concurrency=3, ordered=False, error_policy=ErrorPolicy.STOP_NODE)
    assert (made.max_concurrency, made.ordered, made.error_policy) == (3, False, ErrorPolicy.STOP_NODE)
    assert sorted(payloads(sent_by(made, range(50)))) == sorted(range(0, 100, 2))
    assert map_node(double, dedicated=True).dedicated
    assert payloads(sent_by(map_node(double, dedicated=True), range(5))) == [0, 2, 4, 6, 8]


def test_ports_may_be_named_and_typed() -> None:
    made = map_node(double, inputs=PortSpec("numbers", int), outputs="doubles")
    graph = Subgraph.from_nodes("g", [Source("source", [1, 2]), made, collect := Collect()])
    graph.connect("source:out", "double:numbers")
    graph.connect("double:doubles", "collect:in")
    run_graph(graph)
    assert collect.seen == [2, 4]


def test_names_come_from_the_function() -> None:
    assert map_node(double).name == "double"
    assert map_node(lambda n: n).name == "map"
    assert filter_node(lambda n: n).name == "filter"
    assert sink_node(print).name == "print"
    assert map_node(double, "twice").name == "twice"
    assert source_node([]).name == "source"


WRONG: Any = 5  # for whatever is to be something else
WRONG_SETTINGS: Any = {"speed": 3}


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: map_node(WRONG), TypeError, "map_node needs a function of one payload, not 5"),
        (lambda: filter_node(WRONG), TypeError, "filter_node needs a function"),
        (lambda: node(WRONG), TypeError, "@node needs a function"),
        (lambda: map_node(double, "a:b"), ValueError, "must not hold ':'"),
        (lambda: map_node(double, **WRONG_SETTINGS), TypeError, "unknown setting 'speed' of node 'double'"),
        (lambda: batch_node(0), ValueError, "n must be from 1"),
        (lambda: batch_node(WRONG / 2), TypeError, "n must be a whole number"),
        (lambda: batch_node(2, timeout=0), ValueError, "timeout must be more than zero"),
        (lambda: source_node(WRONG), TypeError, "items must be an iterable"),
        (lambda: flat_map_node(coroutine), TypeError, "flat_map_node needs a function that returns an iterable"),
        (lambda: source_node(coroutine), TypeError, "source_node needs an iterable or a plain function"),
        (lambda: node(outputs=())(repeat), TypeError, "give the node an output"),
    ],
)
def test_what_makes_no_node_is_refused(make: Callable[[], object], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        make()


def test_one_function_node_has_one_place() -> None:
    made = map_node(double)
    graph = Subgraph.from_nodes("g", [made])
    with pytest.raises(GraphValidationError):
        graph.add_node(made)


def test_a_function_may_emit_by_itself_in_its_own_node() -> None:
    """It has the node by a closure; what it emits goes out before its result, with the message's headers."""
    made = map_node(lambda number: (made.emit("out", -number), number)[1], "map")
    got = sent_by(made, [Message(MessageType.DATA, 7, headers={"k": 1})])
    assert payloads(got) == [-7, 7]
    assert [message.headers["k"] for message in got] == [1, 1]


def test_latest_edges_take_what_steps_send() -> None:
    graph = chain(source_node(range(1000)), map_node(double), collect := Collect(), capacity=4, policy=latest())
    run_graph(graph)
    assert collect.seen[-1] == 1998
    assert collect.seen == sorted(collect.seen)
