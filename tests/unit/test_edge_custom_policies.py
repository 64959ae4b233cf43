"""A user's policy: asked at every put, held to the edge's bounds, and allowed to do anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from counting import assert_conserved
from edges import drained, make_edge, waiting_put

from graphflow import Block, Message, MessageType, Policy, PutResult

if TYPE_CHECKING:
    from collections.abc import Callable


class Answer:
    """A policy that answers what a function says."""

    def __init__(self, answer: Callable[[int, int, Any], Any]) -> None:
        self.answer = answer
        self.asked: list[tuple[int, int, Any]] = []

    def on_enqueue(self, capacity: int, size: int, item: Any) -> Any:
        self.asked.append((capacity, size, item))
        return self.answer(capacity, size, item)


def always(result: Any) -> Answer:
    return Answer(lambda capacity, size, item: result)


def test_the_protocol_is_met_by_anything_with_on_enqueue() -> None:
    assert isinstance(always(1), Policy)
    assert isinstance(Block(), Policy)
    assert not isinstance(1, Policy)


@pytest.mark.parametrize(("call", "per_put"), [("try_put", False), ("try_put", True), ("put", False)])
def test_it_is_asked_at_every_put_with_capacity_size_and_item(call: str, per_put: bool) -> None:
    policy = always(PutResult.OK)
    edge = make_edge(3, None if per_put else policy)
    message = Message(MessageType.DATA, 1)
    for item in ("a", message):
        getattr(edge, call)(item, *([policy] if per_put else []))
    assert policy.asked == [(3, 0, "a"), (3, 1, message)]


@pytest.mark.parametrize("bounds", [{}, {"ttl_s": 60}, {"max_bytes": 100}])
def test_its_answers_with_room(bounds: dict[str, Any]) -> None:
    for answer, left in [
        (PutResult.OK, ["a", "b"]),
        (PutResult.DROPPED, ["a"]),
        (PutResult.BLOCKED, ["a"]),
        (PutResult.REPLACED, ["b"]),
    ]:
        edge = make_edge(5, **bounds)
        edge.put("a")
        assert edge.try_put("b", always(answer)) is answer
        assert drained(edge) == left


def test_its_answers_on_a_full_edge() -> None:
    for answer, result, left in [
        (PutResult.OK, PutResult.BLOCKED, ["a", "b"]),
        (PutResult.DROPPED, PutResult.DROPPED, ["a", "b"]),
        (PutResult.BLOCKED, PutResult.BLOCKED, ["a", "b"]),
        (PutResult.REPLACED, PutResult.REPLACED, ["b", "c"]),
    ]:
        edge = make_edge(2)
        edge.put_many("ab")
        assert edge.try_put("c", always(answer)) is result
        assert drained(edge) == left


def test_to_replace_in_an_empty_edge_is_just_to_put() -> None:
    edge = make_edge(2, always(PutResult.REPLACED))
    assert edge.put("a") is PutResult.OK
    assert drained(edge) == ["a"]


@pytest.mark.parametrize("answer", [None, True, "ok", 1, PutResult.COALESCED, PutResult.DEFERRED, PutResult])
@pytest.mark.parametrize("call", ["try_put", "put"])
def test_an_answer_that_is_none_is_a_type_error_and_nothing_happened(answer: object, call: str) -> None:
    edge = make_edge(2, always(answer))
    with pytest.raises(TypeError, match="on_enqueue"):
        getattr(edge, call)("a")
    assert edge.stats().offered == 0


@pytest.mark.parametrize("call", ["try_put", "put"])
def test_its_error_leaves_the_put_and_nothing_happened(call: str) -> None:
    def fail(capacity: int, size: int, item: Any) -> PutResult:
        raise ZeroDivisionError

    edge = make_edge(2, Answer(fail))
    with pytest.raises(ZeroDivisionError):
        getattr(edge, call)("a")
    assert edge.stats().offered == 0


def test_it_may_use_the_edge() -> None:
    def make_room(capacity: int, size: int, item: Any) -> PutResult:
        if size == capacity:
            taken.append(edge.try_get())
        assert_conserved(edge)
        return PutResult.OK

    taken: list[int | None] = []
    edge = make_edge(2, Answer(make_room))
    for number in range(5):
        assert edge.put(number) is PutResult.OK
    assert (taken, drained(edge)) == ([0, 1, 2], [3, 4])


def test_its_answer_is_of_a_moment_ago_and_the_bounds_hold_all_the_same() -> None:
    def fill(capacity: int, size: int, item: Any) -> PutResult:
        edge.try_put("meanwhile", Block())
        return PutResult.OK

    edge = make_edge(2, Answer(fill))
    assert [edge.try_put(number) for number in range(3)] == [PutResult.OK, PutResult.BLOCKED, PutResult.BLOCKED]
    assert drained(edge) == ["meanwhile", 0]


def test_it_may_close_the_edge() -> None:
    def close(capacity: int, size: int, item: Any) -> PutResult:
        edge.close()
        return PutResult.OK

    edge = make_edge(2, Answer(close))
    with pytest.raises(Exception, match="closed"):
        edge.put(1)
    assert edge.is_empty()


def test_a_put_it_blocks_waits_and_asks_again_when_there_is_room() -> None:
    policy = Answer(lambda capacity, size, item: PutResult.OK if size < capacity // 2 else PutResult.BLOCKED)
    edge = make_edge(4, policy)
    edge.put_many("ab")
    call = waiting_put(edge, "c")
    assert edge.depth() == 2
    edge.get()
    assert call.outcome() is PutResult.OK
    assert drained(edge) == ["b", "c"]


def test_an_error_when_it_is_asked_again_leaves_the_waiting_put() -> None:
    def answer(capacity: int, size: int, item: Any) -> PutResult:
        if item == "sour" and armed:
            raise ZeroDivisionError
        return PutResult.OK

    armed: list[int] = []
    edge = make_edge(1, Answer(answer))
    edge.put("a")
    call = waiting_put(edge, "sour")
    behind = waiting_put(edge, "sweet")
    armed.append(1)
    edge.get()
    with pytest.raises(ZeroDivisionError):
        call.outcome()
    assert behind.outcome() is PutResult.OK  # inherits the room
    assert drained(edge) == ["sweet"]


def test_control_does_not_ask_it() -> None:
    policy = always(PutResult.DROPPED)
    edge = make_edge(2, policy)
    assert edge.put(Message(MessageType.CONTROL, 1)) is PutResult.OK
    assert policy.asked == []
    drained(edge)
