"""ErrorPolicy: what may be asked for, what is refused, and how long a node rests between attempts."""

from __future__ import annotations

from typing import Any

import pytest

from graphflow import DeadLetter, ErrorPolicy, SchedulerConfig


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"attempts": 0}, ValueError, "attempts must be from 1 to 1000000, not 0"),
        ({"attempts": -1}, ValueError, "not -1"),
        ({"attempts": 2**70}, ValueError, "attempts must be from 1"),
        ({"attempts": True}, TypeError, "attempts must be a whole number, not True"),
        ({"attempts": 2.0}, TypeError, "not 2.0"),
        ({"attempts": "3"}, TypeError, "not '3'"),
        ({"backoff_s": -0.1}, ValueError, "backoff_s must be zero or more seconds, not -0.1"),
        ({"backoff_s": float("nan")}, ValueError, "backoff_s"),
        ({"backoff_s": float("inf")}, OverflowError, "backoff_s must be at most"),
        ({"backoff_s": None}, TypeError, "backoff_s must be a number of seconds, not None"),
        ({"max_backoff_s": -1}, ValueError, "max_backoff_s"),
        ({"jitter": 1.5}, ValueError, "jitter must be a number from 0 to 1, not 1.5"),
        ({"jitter": float("nan")}, ValueError, "jitter"),
        ({"jitter": "no"}, TypeError, "jitter"),
        ({"then": "dead"}, TypeError, "then must be an ErrorPolicy or None, not 'dead'"),
        ({"then": ErrorPolicy.retry(2)}, ValueError, "then must not be another retry"),
        ({"holds_place": 0}, TypeError, "holds_place must be True or False, not 0"),
        ({"holds_place": False, "max_waiting": 0}, ValueError, "max_waiting must be from 1 to 1000000, not 0"),
        ({"holds_place": False, "max_waiting": 1.5}, TypeError, "max_waiting must be a whole number"),
        ({"max_waiting": 5}, ValueError, "max_waiting=5 .* give holds_place=False with it"),
    ],
)
def test_what_is_no_retry_is_refused_by_name(arguments: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        ErrorPolicy.retry(**{"attempts": 3, **arguments})


@pytest.mark.parametrize("port", ["", None, 3, ("errors",)])
def test_a_dead_letter_port_is_a_name(port: Any) -> None:
    with pytest.raises(TypeError, match="port must be the name of an output port, not"):
        ErrorPolicy.dead_letter(port)


def test_policies_compare_by_what_they_say() -> None:
    assert ErrorPolicy.retry(3, 0.5) == ErrorPolicy.retry(3, backoff_s=0.5)
    assert ErrorPolicy.retry(3) != ErrorPolicy.retry(4)
    assert ErrorPolicy.dead_letter("a") != ErrorPolicy.dead_letter("b")
    assert len({ErrorPolicy.CONTINUE, ErrorPolicy.STOP_NODE, ErrorPolicy.STOP_GRAPH}) == 3


def test_the_rest_doubles_up_to_its_longest_and_jitter_only_adds() -> None:
    policy = ErrorPolicy.retry(100, backoff_s=0.1, max_backoff_s=1.0, jitter=0.5)
    assert [policy.delay_s(failures, 0.0) for failures in (1, 2, 3, 4, 5)] == [0.1, 0.2, 0.4, 0.8, 1.0]
    assert policy.delay_s(1, 1.0) == pytest.approx(0.15)
    assert policy.delay_s(2, 0.5) == pytest.approx(0.25)
    assert policy.delay_s(99_999, 0.0) == 1.0


def test_how_many_may_wait_without_a_place() -> None:
    assert ErrorPolicy.retry(3).max_waiting == 0
    assert ErrorPolicy.retry(3, holds_place=False).max_waiting == 1024
    assert ErrorPolicy.retry(3, holds_place=False, max_waiting=7).max_waiting == 7


def test_what_applies_in_the_end() -> None:
    letters = ErrorPolicy.dead_letter("errors")
    assert ErrorPolicy.retry(3).final is ErrorPolicy.CONTINUE
    assert ErrorPolicy.retry(3, then=letters).final is letters
    assert letters.final is letters
    assert ErrorPolicy.STOP_NODE.final is ErrorPolicy.STOP_NODE


def test_a_config_takes_any_of_them_and_nothing_else() -> None:
    assert SchedulerConfig(error_policy=ErrorPolicy.retry(2)).error_policy.attempts == 2
    with pytest.raises(TypeError, match="error_policy must be an ErrorPolicy, not 'retry'"):
        SchedulerConfig(error_policy="retry")  # type: ignore[arg-type]


def test_a_dead_letter_says_what_failed() -> None:
    letter = DeadLetter(None, ValueError("x"), "text", "a/b", "in", 2)
    assert (letter.node, letter.port, letter.attempts, letter.traceback) == ("a/b", "in", 2, "text")
