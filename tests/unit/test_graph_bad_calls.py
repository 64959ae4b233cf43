"""What cannot be part of a graph: refused by name and value where it is given, and nothing has changed."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from graphs import Collect, Map, Remote, assert_graph_conserved, chain, run_graph, scheduler_of
from hostile import HOSTILE, HUGE, INF, NAN, NO_NAMES, Touched, named

from graphflow import (
    Block,
    Coalesce,
    Drop,
    GraphValidationError,
    Latest,
    Message,
    MessageType,
    Node,
    Policy,
    Port,
    PortDirection,
    PortSpec,
    Subgraph,
)

if TYPE_CHECKING:
    from collections.abc import Callable

DATA = MessageType.DATA
IN = PortDirection.INPUT


def small() -> Subgraph:
    graph = Subgraph.from_nodes("g", [Map("a"), Map("b"), Map("c")])
    graph.connect("a:out", "b:in")
    graph.expose_input("in", "a:in")
    return graph


def contents(graph: Subgraph) -> Any:
    return (
        list(graph.members),
        [(edge.id, edge.capacity, edge.max_bytes, edge.ttl_s, edge.default_policy) for edge in graph.edges],
        dict(graph.exposed_inputs),
        dict(graph.exposed_outputs),
        [str(issue) for issue in graph.validate()],
    )


ADDITIONS: dict[str, Callable[..., object]] = {
    "connect": lambda graph, **bounds: graph.connect("b:out", "c:in", **bounds),
    "expose_input": lambda graph, **bounds: graph.expose_input("more", "c:in", **bounds),
    "expose_output": lambda graph, **bounds: graph.expose_output("more", "c:out", **bounds),
}
NO_COUNTS = [0, -1, 2**70, HUGE, True, 1.5, NAN, INF, "3", b"3", [3], 1j, object()]
NO_DURATIONS = [0, -1, NAN, INF, -INF, 1e10, HUGE, -HUGE, True, "1", b"1", [1], 1j, object()]
BOUNDS = [
    *(("capacity", value) for value in [*NO_COUNTS, None]),
    *(("control_capacity", value) for value in [*NO_COUNTS, None]),
    *(("max_bytes", value) for value in NO_COUNTS),
    *(("ttl_s", value) for value in NO_DURATIONS),
]


@pytest.mark.parametrize("addition", ADDITIONS)
def test_a_bound_that_is_none_is_named_and_nothing_is_added(addition: str) -> None:
    graph = small()
    before = contents(graph)
    for name, value in BOUNDS:
        with pytest.raises(GraphValidationError, match=f"^BAD_CAP: {name} must be .*, not {re.escape(repr(value))}$"):
            ADDITIONS[addition](graph, **{name: value})
    for name in ("capacity", "control_capacity", "max_bytes", "ttl_s"):
        with pytest.raises(Touched):  # what a number's own __index__ or __float__ raises is the caller's
            ADDITIONS[addition](graph, **{name: HOSTILE})
    for name, value in (("policy", HOSTILE), ("policy", Latest), ("sizeof", 3), ("priority", HOSTILE)):
        with pytest.raises(TypeError, match=f"^{name} must be .*not {re.escape(repr(value))}$"):
            ADDITIONS[addition](graph, **{name: value})
    assert contents(graph) == before
    ADDITIONS[addition](graph)
    assert contents(graph) != before


NO_ENDPOINTS = [None, 3, True, b"a:out", "a", "a:", ":out", "a:b:c", ["a", "out"], {}, ("a",), ("a", 3), HOSTILE]


@pytest.mark.parametrize("addition", ["connect from", "connect to", "expose_input", "expose_output"])
@pytest.mark.parametrize("endpoint", NO_ENDPOINTS, ids=named)
def test_what_names_no_port_is_shown(addition: str, endpoint: Any) -> None:
    graph = small()
    before = contents(graph)
    calls: dict[str, Callable[[], object]] = {
        "connect from": lambda: graph.connect(endpoint, "c:in"),
        "connect to": lambda: graph.connect("b:out", endpoint),
        "expose_input": lambda: graph.expose_input("more", endpoint),
        "expose_output": lambda: graph.expose_output("more", endpoint),
    }
    said = f"^BAD_NAME: the .* {re.escape(repr(endpoint))} does not name a port: write 'node:port'"
    with pytest.raises(GraphValidationError, match=said):
        calls[addition]()
    assert contents(graph) == before


@pytest.mark.parametrize("name", [*NO_NAMES, "", "a:b", "a/b", "a->b"], ids=named)
def test_what_is_no_name_is_shown(name: Any) -> None:
    graph = small()
    before = contents(graph)
    calls: list[Callable[[], object]] = [
        lambda: graph.expose_input(name, "c:in"),
        lambda: graph.expose_output(name, "c:out"),
        lambda: Subgraph(name),
    ]
    if name is not None:  # which takes the thing's own name
        calls += [lambda: graph.add_node(Map("new"), name), lambda: graph.add_subgraph(Subgraph("new"), name)]
    for call in calls:
        with pytest.raises(
            GraphValidationError, match=r"^BAD_NAME: a .*'s name must .*: edge ids are built from names"
        ):
            call()
    error = ValueError if isinstance(name, str) else TypeError
    makers: list[Callable[..., object]] = [Node, PortSpec, partial(Port, direction=IN)]
    for make in makers:
        with pytest.raises(error, match=r"^a (node|port)'s name must .*"):
            make(name)
    assert contents(graph) == before


@pytest.mark.parametrize("thing", [None, 3, "a", Map, ["a"], HOSTILE], ids=named)
def test_what_is_no_node_is_shown(thing: Any) -> None:
    graph = small()
    before = contents(graph)
    shown = re.escape(repr(thing))
    for call in (graph.add_node, graph.add_subgraph):
        with pytest.raises(TypeError, match=rf"^{call.__name__} takes a \w+, not \w+ {shown}$"):
            call(thing)
    said = None if type(thing) in (str, list) else rf"^(from_nodes takes an iterable of Nodes, not {shown}|)$"
    with pytest.raises((TypeError, Touched), match=said):
        Subgraph.from_nodes("g", thing)
    if not isinstance(thing, str):
        with pytest.raises(GraphValidationError, match=r"^UNKNOWN_NODE: there is no node .*: there is 'a', 'b', 'c'$"):
            graph.inputs_of(thing)
    assert contents(graph) == before


@pytest.mark.parametrize("name", NO_NAMES, ids=named)
def test_what_names_no_port_of_a_node_is_a_lookup_error(name: Any) -> None:
    node = Node("n", "in", "out")
    with pytest.raises(LookupError, match=f"^node 'n' has no input port {re.escape(repr(name))}: there is 'in'$"):
        node.input_port(name)
    with pytest.raises(LookupError, match=f"^node 'n' has no output port {re.escape(repr(name))}: there is 'out'$"):
        node.output_port(name)


@pytest.mark.parametrize("port", [*NO_NAMES, "", "oot"], ids=named)
def test_what_names_no_port_to_emit_to_is_refused_and_nothing_is_sent(port: Any) -> None:
    remote, last = Remote(), Collect()
    graph = chain(remote, last)
    graph.expose_input("remote", "remote:calls")
    with scheduler_of(graph) as scheduler:

        def emit() -> None:
            with pytest.raises(GraphValidationError, match=f"^NO_SRC_PORT: node .*{re.escape(repr(port))}"):
                remote.emit(port, 1)

        remote.call(scheduler, emit)
        remote.emit_there(scheduler, "after")
        assert last.expect(1) == ["after"]
    assert last.seen == ["after"]
    assert_graph_conserved(graph)


MESSAGES = [
    ({"type": "DATA"}, TypeError, "type must be a MessageType"),
    ({"type": 0}, TypeError, "type must be a MessageType"),
    ({"type": HOSTILE}, TypeError, "type must be a MessageType"),
    ({"metadata": HOSTILE}, TypeError, "metadata must be a mapping or None"),
    ({"metadata": [("a", 1)]}, TypeError, "metadata must be a mapping or None"),
    ({"headers": HOSTILE}, TypeError, "headers must be a mapping"),
    ({"headers": {3: 1}}, TypeError, "headers must have str keys"),
    *(
        ({"headers": {"timestamp": value}}, ValueError, r"headers\['timestamp'\] must be finite")
        for value in (NAN, INF, -INF, HUGE, -HUGE)
    ),
    *(
        ({"headers": {"timestamp": value}}, TypeError, r"headers\['timestamp'\] must be a number of seconds")
        for value in (True, None, "1", 1j, HOSTILE)
    ),
    *(({"headers": {"trace_id": value}}, TypeError, "must be a str") for value in (None, 3, b"a", HOSTILE)),
    ({"headers": {"trace_id": ""}}, ValueError, "must not be empty"),
]


@pytest.mark.parametrize(("arguments", "error", "said"), MESSAGES, ids=lambda value: str(value)[:50])
def test_what_is_no_message_is_refused(arguments: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said) as caught:
        Message(**{"type": DATA, "payload": 1, **arguments})
    assert type(caught.value) is error
    if isinstance(arguments.get("headers"), dict) and 3 not in arguments["headers"]:
        message = Message(DATA, 1, headers={"timestamp": 5.0, "trace_id": "ab"})
        with pytest.raises(error, match=said):
            message.with_headers(**arguments["headers"])
        assert dict(message.headers) == {"timestamp": 5.0, "trace_id": "ab"}


@pytest.mark.parametrize("policy", [Block, Drop, Latest])
def test_a_policy_without_settings_takes_none(policy: Any) -> None:
    """Latest(5) might else be taken for one that keeps five."""
    with pytest.raises(TypeError):
        policy(5)
    with pytest.raises(TypeError):
        policy(capacity=5)
    assert policy() == policy()


@pytest.mark.parametrize("value", [3, "max", [], object()], ids=named)
def test_a_merge_function_and_a_key_can_be_called(value: Any) -> None:
    with pytest.raises(TypeError, match=f"^fn must be callable as .*, not {re.escape(repr(value))}$"):
        Coalesce(value)
    with pytest.raises(TypeError, match=f"^key must be callable as .*, not {re.escape(repr(value))}$"):
        Coalesce(max, value)


def first(old: object, new: object) -> object:
    return old


@pytest.mark.parametrize("policy", [Block(), Drop(), Latest(), Coalesce(first), Coalesce(first, key=id)], ids=named)
def test_payloads_are_never_looked_at(policy: Policy) -> None:
    """Neither compared, hashed, measured nor asked whether they are true, on any way through a graph."""

    class Thrice(Node):
        outputs = "out"

        def produce(self) -> Any:
            yield from [HOSTILE] * 3

    last = Collect()
    graph = chain(Thrice("source"), Map("map"), last, capacity=1, policy=policy)
    report = run_graph(graph)
    assert not report.errors
    assert last.seen
    assert all(payload is HOSTILE for payload in last.seen)
