"""Coalesce without a key: on a full edge the newcomer is merged into the newest queued item."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from edges import drained, make_edge

from graphflow import Coalesce, Drop, Edge, Message, MessageType, PortSpec, PutResult, SchedulerStateError, SchemaError


def fail(old: object, new: object) -> object:
    raise ZeroDivisionError(f"cannot merge {old!r} and {new!r}")


def joined(old: str, new: str) -> str:
    return old + new


def test_a_newcomer_is_merged_into_the_newest_item() -> None:
    edge = make_edge(2, Coalesce(joined))
    assert [edge.put(letter) for letter in "abcd"] == [PutResult.OK] * 2 + [PutResult.COALESCED] * 2
    assert drained(edge) == ["a", "bcd"]


def test_with_room_nothing_is_merged() -> None:
    edge = make_edge(3, Coalesce(fail))
    edge.put_many("abc")
    assert drained(edge) == ["a", "b", "c"]


def test_every_item_is_in_the_fold() -> None:
    edge = make_edge(1, Coalesce(lambda old, new: old + new))
    taken = []
    for number in range(1000):
        edge.put(number)
        if number % 7 == 0:
            taken.append(edge.get())
    assert sum(taken + drained(edge)) == sum(range(1000))


def test_the_function_sees_payloads_and_the_result_carries_the_newcomers_headers() -> None:
    edge = make_edge(1, Coalesce(joined))
    old = Message(MessageType.DATA, "a", headers={"from": "old"})
    new = Message(MessageType.DATA, "b", metadata={"m": 1}, headers={"from": "new"})
    edge.put(old)
    edge.put(new)
    merged = edge.get()
    assert (merged.payload, merged.headers["from"], merged.metadata) == ("ab", "new", {"m": 1})
    assert merged.get_trace_id() == new.get_trace_id() != old.get_trace_id()
    assert (old.payload, new.payload) == ("a", "b")


@pytest.mark.parametrize("newcomer_is_message", [True, False])
def test_raw_values_and_messages_merge_with_each_other(newcomer_is_message: bool) -> None:
    edge = make_edge(1, Coalesce(joined))
    message = Message(MessageType.DATA, "m")
    edge.put("r" if newcomer_is_message else message)
    edge.put(message if newcomer_is_message else "r")
    merged = edge.get()
    assert merged.payload == "rm" if newcomer_is_message else merged == "mr"


def test_a_function_that_fails_leaves_the_newcomer_in_the_items_place(caplog: pytest.LogCaptureFixture) -> None:
    edge = make_edge(2, Coalesce(fail))
    edge.put_many("ab")
    with caplog.at_level(logging.ERROR, "graphflow"):
        assert edge.put("c") is PutResult.REPLACED
    (record,) = caplog.records
    assert edge.id in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError
    counts = edge.stats()
    assert (counts.offered, counts.replaced, counts.coalesced, counts.merge_errors) == (3, 1, 0, 1)
    assert drained(edge) == ["a", "c"]


def test_a_function_that_returns_none_for_a_raw_newcomer_has_failed() -> None:
    edge = make_edge(1, Coalesce(lambda old, new: None))
    edge.put("a")
    assert edge.put("b") is PutResult.REPLACED
    assert drained(edge) == ["b"]
    assert edge.stats().merge_errors == 1


def test_a_message_may_be_merged_to_none() -> None:
    edge = make_edge(1, Coalesce(lambda old, new: None))
    edge.put("a")
    assert edge.put(Message(MessageType.DATA, "b")) is PutResult.COALESCED
    assert edge.get().payload is None


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_is_not_an_error_leaves_the_put_and_nothing_happened(error: type[BaseException]) -> None:
    def interrupted(old: object, new: object) -> object:
        raise error

    edge = make_edge(1, Coalesce(interrupted))
    edge.put("a")
    with pytest.raises(error):
        edge.put("b")
    assert edge.stats().offered == 1
    assert drained(edge) == ["a"]


def test_a_result_that_breaks_the_schema_is_refused_and_nothing_happened() -> None:
    edge = make_edge(1, Coalesce(lambda old, new: str(new)), spec=PortSpec("in", int))
    edge.put(1)
    with pytest.raises(SchemaError):
        edge.put(2)
    assert edge.stats().offered == 1
    assert drained(edge) == [1]


def test_a_merge_into_an_error_message_is_not_held_to_the_schema() -> None:
    edge = make_edge(1, Coalesce(lambda old, new: f"{old} {new}"), spec=PortSpec("in", int))
    edge.put(1)
    assert edge.put(Message(MessageType.ERROR, "broken")) is PutResult.COALESCED
    merged = edge.get()
    assert merged.is_error()
    assert merged.payload == "1 broken"


def test_a_merge_may_take_the_very_item() -> None:
    def greedy(old: str, new: str) -> str:
        taken.append(edge.try_get())
        return old + new

    taken: list[str | None] = []
    edge: Edge = make_edge(1, Coalesce(greedy))
    edge.put("a")
    assert edge.put("b") is PutResult.OK  # the item has gone: the newcomer is put afresh
    assert taken == ["a"]
    assert drained(edge) == ["b"]


def test_a_merge_whose_item_changed_meanwhile_is_done_again() -> None:
    def merge(old: str, new: str) -> str:
        if new == "outer" and not nested:
            nested.append(edge.try_put("inner"))
        return f"{old}+{new}"

    nested: list[PutResult] = []
    edge: Edge = make_edge(1, Coalesce(merge))
    edge.put("first")
    assert edge.put("outer") is PutResult.COALESCED
    assert nested == [PutResult.COALESCED]
    assert drained(edge) == ["first+inner+outer"]


@pytest.mark.parametrize("call", ["try_put", "put"])
def test_a_merge_that_always_puts_to_its_own_edge_ends(call: str) -> None:
    def merge(old: int, new: int) -> int:
        if new == 1000:
            answers.append(getattr(edge, call)(1))
        return old + new

    answers: list[Any] = []
    edge: Edge = make_edge(1, Coalesce(merge))
    edge.put(0)
    answer = edge.put(1000)
    # The last nested put met its own thread's claim: refused, or told that it would wait for itself.
    if call == "try_put":
        assert answer is PutResult.COALESCED
        assert answers.pop() is PutResult.BLOCKED
        assert drained(edge) == [1000 + len(answers)]
    else:
        assert answer is PutResult.REPLACED
        assert edge.stats().merge_errors == 1
        assert drained(edge) == [1000]
    assert set(answers) == {PutResult.COALESCED}


def test_a_merge_may_close_its_edge() -> None:
    def merge(old: int, new: int) -> int:
        edge.close()
        return old + new

    edge: Edge = make_edge(1, Coalesce(merge))
    edge.put(1)
    with pytest.raises(Exception, match="closed"):
        edge.put(2)
    assert drained(edge) == [1]


def test_a_merge_may_change_the_capacity() -> None:
    def merge(old: int, new: int) -> int:
        edge.set_capacity(5)
        return old + new

    edge: Edge = make_edge(1, Coalesce(merge))
    edge.put(1)
    assert edge.put(2) is PutResult.OK  # there is room now
    assert drained(edge) == [1, 2]


def test_a_merge_for_one_put_leaves_the_edges_own_policy_alone() -> None:
    edge = make_edge(1, Drop())
    edge.put("a")
    assert edge.try_put("b", Coalesce(joined)) is PutResult.COALESCED
    assert edge.put("c") is PutResult.DROPPED
    assert drained(edge) == ["ab"]


def test_a_put_inside_a_merge_is_told_that_it_would_wait_for_itself() -> None:
    def merge(old: int, new: int) -> int:
        if new == 1000:
            try:
                edge.put(1)
            except SchedulerStateError as error:
                errors.append(str(error))
        return old + new

    errors: list[str] = []
    edge: Edge = make_edge(1, Coalesce(merge))
    edge.put(0)
    edge.put(1000)
    assert len(errors) == 1
    assert "try_put" in errors[0]
    drained(edge)
