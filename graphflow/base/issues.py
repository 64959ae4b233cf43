"""Validation issues: what is wrong with a graph, and the half-sentences that help."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal

Level = Literal["error", "warning"]
_NAMES_SHOWN_MAX = 8


@dataclass(frozen=True, slots=True)
class ValidationIssue:
    """One thing that is wrong with a graph.

    `level` is "error" (the graph will not run) or "warning"; `code` is stable and meant for
    programs, such as "UNKNOWN_NODE"; `message` says what was given, what is allowed and what to do.
    """

    level: Level
    """"error" or "warning"."""
    code: str
    """Stable, such as "UNKNOWN_NODE"."""
    message: str
    """For people: what was given, what is allowed, what to do."""

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


def error(code: str, message: str) -> ValidationIssue:
    """An issue that keeps the graph from running."""
    return ValidationIssue("error", code, message)


def warning(code: str, message: str) -> ValidationIssue:
    """An issue that the graph can run with."""
    return ValidationIssue("warning", code, message)


def nearest(name: str, known: Iterable[str]) -> str:
    """The half-sentence that helps after an unknown name: the closest one, or what there is."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    if not names:
        return "there is none yet"
    return f"there is {listing([repr(each) for each in names])}"


def listing(names: Collection[str]) -> str:
    """The names separated by commas, cut short when there are many."""
    shown = list(names)[:_NAMES_SHOWN_MAX]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def unknown_output(node: str, port: object, known: Collection[str]) -> ValidationIssue:
    """The issue of an emit to a port that the node does not have."""
    if not isinstance(port, str):
        return error("NO_SRC_PORT", f"node {node!r}: emit() takes a port's name, not {port!r}")
    return error(
        "NO_SRC_PORT",
        f"node {node!r} has no output port {port!r}: {nearest(port, known)}",
    )
