"""An error may quote what it was raised for, a payload of any size: what is logged and sent of it has a bound."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from graphs import Collect, Map, Source, chain, scheduler_of

from graphflow import DeadLetter, ErrorPolicy, Subgraph
from graphflow.base.events import LINE_LIMIT, TEXT_LIMIT, in_a_line, say
from graphflow.observability import RecentLogs

if TYPE_CHECKING:
    from collections.abc import Iterator

HUGE = 1_000_000
ROOM = 500  # for what stands around a text that is cut


@pytest.fixture
def caught() -> Iterator[RecentLogs]:
    recent = RecentLogs()
    logging.getLogger("graphflow").addHandler(recent)
    yield recent
    logging.getLogger("graphflow").removeHandler(recent)


def fail(value: Any) -> Any:
    raise ValueError("begins" + "x" * HUGE + "ends")


def formatted(records: list[logging.LogRecord], event: str) -> list[str]:
    return [logging.Formatter().format(record) for record in records if vars(record).get("event") == event]


def test_a_log_has_the_beginning_and_the_end_of_a_long_error(caplog: pytest.LogCaptureFixture) -> None:
    scheduler_of(chain(Source("a", [1]), Map("fails", fail), Collect("c"))).run()
    (text,) = formatted(caplog.records, "node_error")
    assert len(text) < TEXT_LIMIT + ROOM
    assert "node fails: on_message raised ValueError" in text
    assert "begins" in text
    assert text.endswith("ends\n")


def test_a_long_chain_of_causes_is_cut_as_a_whole(caplog: pytest.LogCaptureFixture) -> None:
    def again(value: Any) -> Any:
        try:
            fail(value)
        except ValueError as cause:
            raise KeyError("short") from cause

    scheduler_of(chain(Source("a", [1]), Map("fails", again), Collect("c"))).run()
    (text,) = formatted(caplog.records, "node_error")
    assert len(text) < TEXT_LIMIT + ROOM
    assert "KeyError: 'short'" in text


def test_a_short_error_is_left_to_the_handlers(caplog: pytest.LogCaptureFixture) -> None:
    error = ValueError("short")
    say(logging.getLogger("graphflow.node"), "node_error", "%s", "it", exc_info=error)
    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[1] is error


class Lettered(Map):
    outputs: Any = ("out", "errors")
    error_policy = ErrorPolicy.dead_letter("errors")


def test_a_dead_letter_has_a_bounded_traceback_and_the_error_itself() -> None:
    letters = Collect("letters")
    graph = Subgraph.from_nodes("g", [Source("a", [1]), Lettered("fails", fail), letters])
    graph.connect("a:out", ("fails", "in"))
    graph.connect(("fails", "errors"), ("letters", "in"))
    scheduler_of(graph).run()
    (letter,) = letters.seen
    assert isinstance(letter, DeadLetter)
    assert len(letter.traceback) < TEXT_LIMIT + ROOM
    assert letter.traceback.endswith("ends\n")
    assert len(str(letter.exception)) > HUGE


def test_recent_logs_hold_no_more_of_it(caught: RecentLogs) -> None:
    try:
        fail(1)
    except ValueError:
        logging.getLogger("graphflow.node").exception("of a handler's own")
    (record,) = caught.records()
    assert len(record["traceback"]) < TEXT_LIMIT + ROOM


class Stubborn(Collect):
    error_policy = ErrorPolicy.retry(40, backoff_s=0)

    def on_message(self, port: str, msg: Any) -> None:
        fail(msg)


def test_retries_are_told_in_a_line_each_and_thinned_out_and_the_last_has_the_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scheduler_of(chain(Source("a", [1]), Stubborn("b"))).run()
    told = formatted(caplog.records, "retry")
    assert [vars(record)["attempt"] for record in caplog.records if vars(record).get("event") == "retry"] == [
        *range(1, 17),
        32,
    ]
    assert all("\n" not in line and len(line) < LINE_LIMIT + ROOM and "ValueError: begins" in line for line in told)
    assert told[15].endswith("; from here on only retries 32, 64, 128, ... are logged")
    (last,) = formatted(caplog.records, "node_error")
    assert "Traceback" in last


class Unspeakable(ValueError):
    @property
    def __notes__(self) -> list[str]:  # type: ignore[override]
        raise LookupError("of the error's own code")


def test_an_error_whose_own_code_fails_is_told_by_its_type() -> None:
    assert in_a_line(Unspeakable("unheard")) == "Unspeakable"


def test_the_error_that_is_being_handled_is_cut_as_well(caplog: pytest.LogCaptureFixture) -> None:
    try:
        fail(1)
    except ValueError:
        say(logging.getLogger("graphflow.scheduler"), "watchdog_error", "the watchdog could not look", exc_info=True)
    (text,) = formatted(caplog.records, "watchdog_error")
    assert "begins" in text
    assert len(text) < TEXT_LIMIT + ROOM
