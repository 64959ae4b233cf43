"""What a node asks of the scheduler by its attributes and its hooks, checked before it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphflow.base.callables import is_async_generator_function, is_coroutine_function, is_generator_function
from graphflow.base.issues import ValidationIssue, error, nearest, warning
from graphflow.graph.error_policy import ErrorPolicy
from graphflow.graph.node import Node

if TYPE_CHECKING:
    from collections.abc import Iterator

HOOKS = ("on_start", "on_message", "on_tick", "on_drain", "on_stop", "on_error", "produce")

_NOT_GENERATORS = ("on_start", "on_stop", "on_error")
_CONCURRENCY_MAX = 1024


def check_settings(name: str, node: Node) -> list[ValidationIssue]:
    """BAD_TICK, BAD_CONCURRENCY, BAD_ERROR_POLICY and BAD_ENDS for attributes that are none, or do not go together;
    BAD_HOOK for hooks that would not run."""
    return [
        *_check_tick(name, node),
        *_check_concurrency(name, node),
        *_check_error_policy(name, node),
        *_check_hooks(name, node),
        *_check_ends(name, node),
    ]


def is_async(node: Node) -> bool:
    """True if a hook of the node is an `async def`: all its hooks run on the event loop."""
    methods = [getattr(node, hook, None) for hook in HOOKS]
    return any(is_coroutine_function(method) or is_async_generator_function(method) for method in methods)


def check_handler(name: str, node: Node) -> list[ValidationIssue]:
    """NO_HANDLER for a node with inputs that inherits the on_message that does nothing.

    A warning of a graph that is to run, not of `validate`: a graph may be wired and drawn before its nodes are written.
    """
    if not node.inputs or getattr(node.on_message, "__func__", None) is not Node.on_message:
        return []
    message = f"node {name!r} has inputs but no on_message(self, port, msg): what arrives is counted and forgotten"
    return [warning("NO_HANDLER", message)]


def check_dead_letter_port(name: str, node: Node, policy: ErrorPolicy) -> list[ValidationIssue]:
    """BAD_ERROR_POLICY if the policy sends dead letters to a port that the node does not have."""
    port = policy.final.port
    outputs = [each.name for each in node.outputs]
    if port is None or port in outputs:
        return []
    advice = f"declare it, or give the node an error_policy of its own ({nearest(port, outputs)})"
    message = f"node {name!r}: dead letters go to an output port {port!r}, which it does not have; {advice}"
    return [error("BAD_ERROR_POLICY", message)]


def _check_hooks(name: str, node: Node) -> Iterator[ValidationIssue]:
    """BAD_HOOK for each hook that cannot be called, or whose body would never run."""
    for hook in HOOKS:
        method = getattr(node, hook, None)
        if method is None and hook == "produce":
            continue  # no source, or one that a subclass has switched off
        if not callable(method):
            yield error("BAD_HOOK", f"node {name!r}: {hook} must be a method, not {method!r}")
        elif hook in _NOT_GENERATORS and (is_generator_function(method) or is_async_generator_function(method)):
            advice = "release things in on_stop, send from on_drain" if hook == "on_stop" else "send with emit()"
            yield error("BAD_HOOK", f"node {name!r}: {hook} is a generator, whose body would not run; {advice}")
        elif hook == "produce" and is_coroutine_function(method):
            advice = "let it yield (an async generator), or leave out the async"
            yield error("BAD_HOOK", f"node {name!r}: produce() is a coroutine, which has no values; {advice}")


def _check_tick(name: str, node: Node) -> Iterator[ValidationIssue]:
    interval = node.tick_interval_ms
    if interval is not None and not _is_interval(interval):
        allowed = "from 0.01 to 1e12 milliseconds, or None for the scheduler's"
        yield error("BAD_TICK", f"node {name!r}: tick_interval_ms must be {allowed}, not {interval!r}")


def _is_interval(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0.01 <= value <= 1e12


def _check_concurrency(name: str, node: Node) -> Iterator[ValidationIssue]:
    code = "BAD_CONCURRENCY"
    limit = node.max_concurrency
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= _CONCURRENCY_MAX:
        allowed = f"a whole number from 1 to {_CONCURRENCY_MAX}"
        yield error(code, f"node {name!r}: max_concurrency must be {allowed}, not {limit!r}")
    elif limit > 1 and callable(getattr(node, "produce", None)):
        advice = "leave it at 1, and put the concurrent work into a node after it"
        yield error(code, f"node {name!r}: max_concurrency is {limit}, but produce() is one generator; {advice}")
    elif limit > 1 and node.dedicated:
        yield error(code, f"node {name!r}: max_concurrency is {limit}, but a dedicated node has one thread; choose one")
    if node.dedicated and is_async(node):
        advice = "which runs async hooks; make them plain methods, or leave dedicated False"
        yield error(code, f"node {name!r} is dedicated, but there is one event loop, the scheduler's, {advice}")


def _check_ends(name: str, node: Node) -> Iterator[ValidationIssue]:
    ends: object = node.ends_with_outputs
    if ends is not None and not isinstance(ends, bool):
        yield error("BAD_ENDS", f"node {name!r}: ends_with_outputs must be True, False or None, not {ends!r}")


def _check_error_policy(name: str, node: Node) -> list[ValidationIssue]:
    policy: object = node.error_policy
    if policy is None:
        return []
    if not isinstance(policy, ErrorPolicy):
        allowed = "an ErrorPolicy, or None for the scheduler's"
        return [error("BAD_ERROR_POLICY", f"node {name!r}: error_policy must be {allowed}, not {policy!r}")]
    return [*_check_place(name, node, policy), *check_dead_letter_port(name, node, policy)]


def _check_place(name: str, node: Node, policy: ErrorPolicy) -> Iterator[ValidationIssue]:
    if not policy.holds_place and node.ordered:
        advice = "set ordered = False, or leave holds_place out"
        message = f"holds_place=False lets messages pass one in backoff, but the node keeps their order; {advice}"
        yield error("BAD_ERROR_POLICY", f"node {name!r}: {message}")
