"""The `node` decorator: a function becomes a node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Unpack, overload

from graphflow.base.callables import is_async_generator_function, is_coroutine_function, is_generator_function
from graphflow.core.messages.message import Message
from graphflow.graph.node import Node, PortDeclaration
from graphflow.nodes.factories import NodeSettings, name_for, with_settings
from graphflow.nodes.steps import AsyncNode, FlatMapNode, FunctionNode


class DecoratedNode(Node):
    """A node that the `node` decorator made of a function, which can still be called."""

    _fn: Callable[[Any], Any]
    _again: Callable[[str], DecoratedNode]

    def __call__(self, payload: Any) -> Any:
        """Call the function itself."""
        return self._fn(payload)

    def another(self, name: str) -> DecoratedNode:
        """A new node around the same function: a node has one place in one graph."""
        return self._again(name)


class _Function(DecoratedNode, FunctionNode):
    pass


class _Generator(DecoratedNode, FlatMapNode):
    pass


class _Coroutine(DecoratedNode, AsyncNode):
    pass


@overload
def node(fn: Callable[[Any], Any], /) -> DecoratedNode: ...
@overload
def node(
    *,
    name: str | None = ...,
    inputs: PortDeclaration = ...,
    outputs: PortDeclaration | tuple[()] = ...,
    **settings: Unpack[NodeSettings],
) -> Callable[[Callable[[Any], Any]], DecoratedNode]: ...
def node(
    fn: Callable[[Any], Any] | None = None,
    /,
    *,
    name: str | None = None,
    inputs: PortDeclaration = "in",
    outputs: PortDeclaration | tuple[()] = "out",
    **settings: Unpack[NodeSettings],
) -> DecoratedNode | Callable[[Callable[[Any], Any]], DecoratedNode]:
    """Make a node of a function of one payload: `@node`, or `@node(outputs=(), max_concurrency=4)`.

    What the function returns is sent; None sends nothing. A generator function sends each value that it yields; an
    `async def` is awaited on the scheduler's event loop. With `outputs=()` it is a sink. name: None takes the
    function's. settings: attributes of Node.

        @node
        def double(number):
            return 2 * number

        graph.add_node(double)
        graph.add_node(double.another("again"))
        assert double(21) == 42

    Raises TypeError for what cannot be called and for unknown settings, ValueError for bad names.
    """

    def decorate(function: Callable[[Any], Any]) -> DecoratedNode:
        def make(own_name: str) -> DecoratedNode:
            made = _make(own_name, function, inputs, outputs)
            made._fn = function
            made._again = make
            return with_settings(made, settings)

        return make(name_for(function, name, "function", "@node"))

    return decorate if fn is None else decorate(fn)


def _make(
    name: str, fn: Callable[[Any], Any], ins: PortDeclaration, outs: PortDeclaration | tuple[()]
) -> DecoratedNode:
    if is_coroutine_function(fn):
        return _Coroutine(name, fn, _emit_unless_none, ins, outs)
    if is_async_generator_function(fn):
        raise TypeError(
            f"@node takes no async generator function such as {fn!r}: write a Node with async def on_message"
        )
    if is_generator_function(fn):
        if isinstance(outs, tuple):
            raise TypeError(f"the generator function {fn!r} yields values to send: give the node an output")
        return _Generator(name, fn, ins, outs)
    return _Function(name, fn, ins, outs)


def _emit_unless_none(made: AsyncNode, msg: Message, result: Any) -> None:
    if result is not None:
        if not made.declared:
            made.refuse_unrun(result)
        made.send(result)
