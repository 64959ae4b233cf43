"""The errors: one base, the built-in kinds they also are, and what they print."""

from __future__ import annotations

import pickle

import pytest

import graphflow
from graphflow import GraphflowError, GraphValidationError, UnknownEdgeError, ValidationIssue

ISSUES = [
    ValidationIssue("error", "BAD_CAP", "capacity must be 1 or more, not 0"),
    ValidationIssue("warning", "UNCONNECTED_PORT", "port a:out leads nowhere"),
]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("GraphValidationError", ValueError),
        ("SchemaError", TypeError),
        ("EdgeClosed", Exception),
        ("BackpressureError", Exception),
        ("UnknownEdgeError", KeyError),
        ("SchedulerStateError", RuntimeError),
    ],
)
def test_every_error_is_a_graphflow_error_and_a_built_in_one(name: str, kind: type) -> None:
    error = getattr(graphflow, name)
    assert issubclass(error, GraphflowError)
    assert issubclass(error, kind)


def test_a_validation_error_lists_every_issue_with_its_code() -> None:
    error = GraphValidationError(ISSUES)
    assert error.issues == tuple(ISSUES)
    assert str(error) == ("BAD_CAP: capacity must be 1 or more, not 0\nUNCONNECTED_PORT: port a:out leads nowhere")


def test_an_unknown_edge_prints_its_message_plainly() -> None:
    assert str(UnknownEdgeError("no edge 'a'")) == "no edge 'a'"


def test_a_validation_error_survives_pickle() -> None:
    twin = pickle.loads(pickle.dumps(GraphValidationError(ISSUES)))
    assert twin.issues == tuple(ISSUES)
