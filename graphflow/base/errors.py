"""The errors graphflow raises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graphflow.base.issues import ValidationIssue


class GraphflowError(Exception):
    """Base of all errors that are graphflow's own."""


class GraphValidationError(GraphflowError, ValueError):
    """A graph, or a change to one, is not valid; `issues` holds everything found."""

    issues: tuple[ValidationIssue, ...]
    """Everything that is wrong."""

    def __init__(self, issues: Sequence[ValidationIssue]) -> None:
        self.issues = tuple(issues)
        super().__init__(self.issues)

    def __str__(self) -> str:
        return "\n".join(f"{issue.code}: {issue.message}" for issue in self.issues)


class SchemaError(GraphflowError, TypeError):
    """A value does not match the schema of the edge it was put on; the edge is unchanged."""


class EdgeClosed(GraphflowError):
    """The edge is closed: it takes nothing more, or is empty for good."""


class BackpressureError(GraphflowError):
    """A node emitted more than its outbox may hold; nothing of the message was sent."""


class UnknownEdgeError(GraphflowError, KeyError):
    """No edge has this id; the message names close matches."""

    def __str__(self) -> str:
        # KeyError would show the repr of its argument.
        return " ".join(map(str, self.args))


class SchedulerStateError(GraphflowError, RuntimeError):
    """The call does not fit the state the scheduler is in, or the thread it was made from."""
