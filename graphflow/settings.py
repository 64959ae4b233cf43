"""What a node asks of the scheduler by its attributes and its hooks, checked before it runs."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from graphflow.validation import ValidationIssue, error

if TYPE_CHECKING:
    from graphflow.node import Node

_HOOKS = ("on_start", "on_message", "on_tick", "on_drain", "on_stop", "on_error", "produce")


def check_settings(name: str, node: Node) -> list[ValidationIssue]:
    """UNSUPPORTED for what this version cannot run, BAD_TICK for a tick interval that is none."""
    issues = []
    for hook in _HOOKS:
        method = getattr(node, hook, None)
        if inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method):
            issues += [_unsupported(name, f"{hook} is async", "make it a plain method")]
    if node.max_concurrency != 1:
        issues += [_unsupported(name, f"max_concurrency is {node.max_concurrency!r}", "leave it at 1")]
    interval = node.tick_interval_ms
    if interval is not None and not _is_interval(interval):
        allowed = "from 0.01 to 1e12 milliseconds, or None for the scheduler's"
        issues += [error("BAD_TICK", f"node {name!r}: tick_interval_ms must be {allowed}, not {interval!r}")]
    return issues


def _unsupported(name: str, what: str, advice: str) -> ValidationIssue:
    return error("UNSUPPORTED", f"node {name!r}: {what}, which this version does not run yet; {advice}")


def _is_interval(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0.01 <= value <= 1e12
