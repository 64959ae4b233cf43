"""The factories of `graphflow.nodes`: what they are given is checked here, what they make is in steps.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypedDict, TypeVar, Unpack

from graphflow.base.arguments import check_iterable, seconds, whole
from graphflow.base.callables import is_async_generator_function, is_coroutine_function, is_generator_function
from graphflow.core.messages.message import Message
from graphflow.graph.error_policy import ErrorPolicy
from graphflow.graph.node import Node, PortDeclaration
from graphflow.nodes.steps import AsyncNode, BatchNode, FilterNode, FlatMapNode, MapNode, SinkNode, SourceNode

_BATCH_MAX = 2**31 - 1
AnyNode = TypeVar("AnyNode", bound=Node)


class NodeSettings(TypedDict, total=False):
    """What a node may ask of the scheduler; see the attributes of Node."""

    error_policy: ErrorPolicy | None
    """What becomes of an error; None takes the scheduler's."""
    max_concurrency: int
    """Workers that may be inside the node at once."""
    ordered: bool
    """Whether the outputs of concurrent calls leave in the order of the inputs."""
    dedicated: bool
    """Whether the node gets a thread of its own."""
    carry_context: bool
    """Whether each call runs in (a copy of) the `contextvars` context of whoever put or emitted the message."""
    ends_with_outputs: bool | None
    """Whether it ends when all its outputs are closed, which it does unless told otherwise."""


def map_node(
    fn: Callable[[Any], Any],
    name: str | None = None,
    *,
    inputs: PortDeclaration = "in",
    outputs: PortDeclaration = "out",
    **settings: Unpack[NodeSettings],
) -> Node:
    """A node that sends fn(payload) for each payload. `fn` may be an `async def`.

    name: None takes the function's. A result that is a Message is sent as it is; a None is an error of the node's (see
    filter_node, or the `node` decorator, for leaving messages out), and so is an awaitable. settings: attributes of
    Node; an `error_policy` that names a port for dead letters gives the node that output.

    Raises TypeError for a function that cannot be called and for unknown settings, ValueError for bad names.
    """
    name = name_for(fn, name, "map")
    _refuse_generator_function(fn, "map", lazily=True)
    if is_coroutine_function(fn):
        return with_settings(AsyncNode(name, fn, _emit_result, inputs, outputs), settings)
    return with_settings(MapNode(name, fn, inputs, outputs), settings)


def filter_node(
    predicate: Callable[[Any], Any],
    name: str | None = None,
    *,
    inputs: PortDeclaration = "in",
    **settings: Unpack[NodeSettings],
) -> Node:
    """A node that sends on the messages for whose payloads the predicate is true. It may be an `async def`.

    Otherwise as map_node.
    """
    name = name_for(predicate, name, "filter")
    _refuse_generator_function(predicate, "filter")
    if is_coroutine_function(predicate):
        return with_settings(AsyncNode(name, predicate, _emit_if_true, inputs, "out"), settings)
    return with_settings(FilterNode(name, predicate, inputs), settings)


def flat_map_node(
    fn: Callable[[Any], Iterable[Any]],
    name: str | None = None,
    *,
    inputs: PortDeclaration = "in",
    outputs: PortDeclaration = "out",
    **settings: Unpack[NodeSettings],
) -> Node:
    """A node that sends each value of the iterable fn(payload), which may be endless: it rests while there is no room.

    `fn` may be a generator function. Otherwise as map_node.
    """
    name = name_for(fn, name, "flat_map")
    if is_coroutine_function(fn) or is_async_generator_function(fn):
        raise TypeError(f"flat_map_node needs a function that returns an iterable, not {fn!r}: write a Node class")
    return with_settings(FlatMapNode(name, fn, inputs, outputs), settings)


def sink_node(
    fn: Callable[[Any], Any],
    name: str | None = None,
    *,
    inputs: PortDeclaration = "in",
    **settings: Unpack[NodeSettings],
) -> Node:
    """A node that calls fn(payload) and sends nothing; what fn returns is ignored. It may be an `async def`.

    CONTROL and ERROR messages end here, but for dead letters, which are handed to `fn`. Otherwise as map_node.
    """
    name = name_for(fn, name, "sink")
    _refuse_generator_function(fn, "sink")
    if is_coroutine_function(fn):
        return with_settings(AsyncNode(name, fn, _ignore, inputs, ()), settings)
    return with_settings(SinkNode(name, fn, inputs), settings)


def batch_node(
    n: int,
    timeout: float | None = None,
    name: str = "batch",
    *,
    inputs: PortDeclaration = "in",
    error_policy: ErrorPolicy | None = None,
) -> Node:
    """A node that collects payloads and sends lists of `n` of them.

    A list is shorter when its first payload has waited for `timeout` seconds (None: for ever), and at the end: a drain
    sends what there is. A list has the headers of the message that filled it; one sent for its age has its own. What a
    stop without a drain finds here was handled, and is logged as not sent.

    Raises TypeError or ValueError for other numbers than n from 1 to 2**31 - 1 and timeouts above 0.
    """
    whole("n", n, 1, _BATCH_MAX)
    if timeout is not None:
        seconds("timeout", timeout, zero=False)
    return with_settings(BatchNode(name, n, timeout, inputs), {"error_policy": error_policy})


def source_node(
    items: Iterable[Any] | Callable[[], Iterable[Any]],
    name: str = "source",
    *,
    outputs: PortDeclaration = "out",
    error_policy: ErrorPolicy | None = None,
) -> Node:
    """A source that sends each item of an iterable, as fast as there is room; then it has ended.

    items: an iterable, or a function without arguments that returns one, called anew at each start of a scheduler (an
    iterator can be gone through once). Items that are Messages are sent as they are.

    Raises TypeError for what is neither.
    """
    if not callable(items):
        check_iterable("items", items)
    if is_coroutine_function(items) or is_async_generator_function(items):
        raise TypeError(
            f"source_node needs an iterable or a plain function, not {items!r}: write a Node with produce()"
        )
    return with_settings(SourceNode(name, items, outputs), {"error_policy": error_policy})


def name_for(fn: object, name: str | None, kind: str, maker: str = "") -> str:
    """The name of a node around `fn`: the one given, the function's, or that of the kind. `maker` is who wants it."""
    if not callable(fn):
        raise TypeError(f"{maker or kind + '_node'} needs a function of one payload, not {fn!r}")
    if name is not None:
        return name
    own = getattr(fn, "__name__", kind)
    return kind if not isinstance(own, str) or own == "<lambda>" else own


def _refuse_generator_function(fn: object, kind: str, *, lazily: bool = False) -> None:
    """TypeError for a function whose body would never run, as nobody iterates over what it returns; `lazily`: what it
    returns is sent, and a generator may be iterated over by who gets it."""
    if is_async_generator_function(fn) or (not lazily and is_generator_function(fn)):
        raise TypeError(
            f"{kind}_node calls a function once a payload; {fn!r} is a generator function, whose body would not run: "
            f"use flat_map_node, or write a Node class with `async def on_message`"
        )


def with_settings(node: AnyNode, settings: NodeSettings) -> AnyNode:
    """The node with the settings as its attributes."""
    for key, value in settings.items():
        if key not in NodeSettings.__annotations__:
            known = ", ".join(NodeSettings.__annotations__)
            raise TypeError(f"unknown setting {key!r} of node {node.name!r}: the settings are {known}")
        setattr(node, key, value)
    return node


def _emit_result(node: AsyncNode, msg: Message, result: Any) -> None:
    node.send(result)


def _emit_if_true(node: AsyncNode, msg: Message, result: Any) -> None:
    node.refuse_unrun(result)
    if result:
        node.send(msg)


def _ignore(node: AsyncNode, msg: Message, result: Any) -> None:
    """A sink sends nothing."""
    node.refuse_unrun(result)
