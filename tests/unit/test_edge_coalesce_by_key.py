"""Coalesce with a key: one item a key, keys in first-in order."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from edges import DEADLINE_S, drained, make_edge, wait_until, waiting_put

from graphflow import Coalesce, Drop, Edge, Latest, Message, MessageType, PutResult, SchedulerStateError

if TYPE_CHECKING:
    from collections.abc import Callable


def keyed(capacity: int = 100, key: Callable[[Any], Any] = lambda pair: pair[0], **bounds: Any) -> Edge:
    """Items are (key, number); a merge adds the numbers."""
    return make_edge(capacity, Coalesce(lambda old, new: (old[0], old[1] + new[1]), key=key), **bounds)


@dataclass
class Key:
    """A key whose hash and equality a test decides; it never is the same object twice."""

    name: str
    number: int = 0
    on_eq: Callable[[], object] = field(default=lambda: None)

    def __hash__(self) -> int:
        return self.number

    def __eq__(self, other: object) -> bool:
        self.on_eq()
        return isinstance(other, Key) and self.name == other.name


def test_an_item_of_a_queued_key_is_merged_though_there_is_room() -> None:
    edge = keyed()
    assert [edge.put(pair) for pair in [("a", 1), ("b", 1), ("a", 2)]] == [
        PutResult.OK,
        PutResult.OK,
        PutResult.COALESCED,
    ]
    assert drained(edge) == [("a", 3), ("b", 1)]


def test_keys_leave_in_first_in_order_and_a_key_that_left_comes_back_last() -> None:
    edge = keyed()
    edge.put_many([("a", 1), ("b", 1), ("c", 1), ("a", 1)])
    assert edge.get() == ("a", 2)
    edge.put(("a", 5))
    assert drained(edge) == [("b", 1), ("c", 1), ("a", 5)]


def test_on_a_full_edge_a_queued_key_is_merged_and_an_unseen_one_is_blocked() -> None:
    edge = keyed(2)
    edge.put_many([("a", 1), ("b", 1)])
    assert edge.try_put(("b", 1)) is PutResult.COALESCED
    assert edge.try_put(("a", 1)) is PutResult.COALESCED
    assert edge.try_put(("c", 1)) is PutResult.BLOCKED
    with pytest.raises(TimeoutError):
        edge.put(("c", 1), timeout=0.01)
    assert drained(edge) == [("a", 2), ("b", 2)]


def test_over_full_a_queued_key_is_still_merged() -> None:
    edge = keyed(3)
    edge.put_many([("a", 1), ("b", 1), ("c", 1)])
    edge.set_capacity(1)
    assert edge.try_put(("c", 1)) is PutResult.COALESCED
    assert edge.try_put(("d", 1)) is PutResult.BLOCKED
    assert drained(edge) == [("a", 1), ("b", 1), ("c", 2)]


def test_equal_keys_need_not_be_identical() -> None:
    edge = keyed(key=lambda pair: Key(pair[0]))
    for _ in range(3):
        edge.put_many([("a", 1), ("b", 1)])
    assert drained(edge) == [("a", 3), ("b", 3)]


def test_1_and_true_and_1_0_are_one_key_as_in_a_dict() -> None:
    edge = keyed()
    edge.put_many([(1, 1), (True, 1), (1.0, 1)])
    assert drained(edge) == [(1, 3)]


def test_nan_is_its_own_key_only_as_the_same_object_as_in_a_dict() -> None:
    nan = float("nan")
    edge = keyed()
    edge.put_many([(nan, 1), (nan, 1), (float("nan"), 1)])
    assert [number for _, number in drained(edge)] == [2, 1]


@pytest.mark.parametrize("spread", [1, 2, 2**61])
def test_keys_of_equal_hash_are_kept_apart(spread: int) -> None:
    edge = keyed(key=lambda pair: Key(pair[0], hash(pair[0]) % 2 * spread))
    names = [f"k{number}" for number in range(40)]
    for _ in range(3):
        edge.put_many([(name, 1) for name in names])
    assert drained(edge) == [(name, 3) for name in names]


def test_any_interleaving_agrees_with_a_dict(rng: random.Random) -> None:
    edge = keyed(60)
    model: dict[int, int] = {}
    for _ in range(5000):
        number = rng.randrange(80)
        if rng.random() < 0.35 and model:
            first = next(iter(model))
            assert edge.get() == (first, model.pop(first))
        elif number in model or len(model) < 60:
            edge.put((number, 1))
            model[number] = model.get(number, 0) + 1
        else:
            assert edge.try_put((number, 1)) is PutResult.BLOCKED
    assert drained(edge) == list(model.items())


@pytest.mark.parametrize("policy", [Latest(), Drop(), Coalesce(max)])
def test_a_keyed_edge_takes_no_other_policy_for_a_put(policy: Any) -> None:
    edge = keyed()
    with pytest.raises(ValueError, match="key"):
        edge.try_put(("a", 1), policy)
    assert edge.is_empty()


def test_a_policy_with_a_key_is_only_for_a_whole_edge() -> None:
    edge = make_edge()
    with pytest.raises(ValueError, match="key"):
        edge.try_put(1, Coalesce(max, key=id))
    assert edge.is_empty()


@pytest.mark.parametrize("stage", ["key", "hash", "eq"])
def test_a_key_that_fails_raises_from_the_put_and_nothing_happened(stage: str) -> None:
    def fail() -> None:
        if armed:
            raise ZeroDivisionError

    class Sour(Key):
        def __hash__(self) -> int:
            if stage == "hash":
                fail()
            return 1

    def key(pair: Any) -> Key:
        if stage == "key":
            fail()
        return Sour(pair[0], on_eq=fail if stage == "eq" else lambda: None)

    armed: list[int] = []
    edge = keyed(key=key)
    edge.put(("a", 1))
    armed.append(1)
    with pytest.raises(ZeroDivisionError):
        edge.put(("a", 1))
    armed.clear()
    assert edge.stats().offered == 1
    edge.put(("a", 1))
    assert drained(edge) == [("a", 2)]


def test_an_unhashable_key_is_a_type_error() -> None:
    edge = keyed(key=lambda pair: [pair[0]])
    with pytest.raises(TypeError, match="unhashable"):
        edge.put(("a", 1))
    assert edge.is_empty()


@pytest.mark.parametrize("act", ["get", "put", "close", "stats", "drain and refill", "shrink"])
def test_comparing_keys_may_use_the_edge(act: str) -> None:
    def use() -> None:
        if not armed:
            return
        armed.clear()
        if act == "get":
            taken.append(edge.try_get())
        elif act == "put":
            edge.put(("z", 1))
        elif act == "close":
            edge.close()
        elif act == "stats":
            assert edge.stats().depth == edge.depth() == 2
        elif act == "shrink":
            edge.set_capacity(1)
        else:
            taken.extend(drained(edge))
            edge.put_many([("b", 10), ("a", 10)])

    armed: list[int] = []
    taken: list[Any] = []
    edge = keyed(key=lambda pair: Key(pair[0], 7, use))
    edge.put_many([("a", 1), ("b", 1)])
    armed.append(1)
    if act == "close":
        with pytest.raises(Exception, match="closed"):
            edge.put(("a", 1))
    else:
        edge.put(("a", 1))
    assert not armed
    expected = {
        "get": [("b", 1), ("a", 1)],
        "put": [("a", 2), ("b", 1), ("z", 1)],
        "close": [("a", 1), ("b", 1)],
        "stats": [("a", 2), ("b", 1)],
        "shrink": [("a", 2), ("b", 1)],
        "drain and refill": [("b", 10), ("a", 11)],
    }
    assert drained(edge) == expected[act]


def test_a_message_is_keyed_by_its_payload_and_control_by_nothing() -> None:
    edge = keyed()
    edge.put(Message(MessageType.DATA, ("a", 1)))
    edge.put(("a", 1))
    edge.put(Message(MessageType.CONTROL, None))
    edge.put(Message(MessageType.CONTROL, None))
    assert edge.depth() == 3
    assert [edge.get().is_control() for _ in range(2)] == [True, True]
    assert drained(edge) == [("a", 2)]


def test_a_failed_merge_keeps_the_place_of_the_key() -> None:
    def fail(old: object, new: object) -> object:
        raise ValueError

    edge = make_edge(10, Coalesce(fail, key=lambda pair: pair[0]))
    edge.put_many([("a", 1), ("b", 1)])
    assert edge.put(("a", 2)) is PutResult.REPLACED
    assert drained(edge) == [("a", 2), ("b", 1)]


def test_waiting_putters_of_one_key_are_merged_when_the_first_gets_in() -> None:
    for count in (2, 3, 6):
        edge = keyed(1)
        edge.put(("a", 1))
        calls = [waiting_put(edge, ("b", 1)) for _ in range(count)]
        assert edge.get() == ("a", 1)
        answers = [call.result(DEADLINE_S) for call in calls]
        assert sorted(answer.name for answer in answers) == ["COALESCED"] * (count - 1) + ["OK"]
        assert drained(edge) == [("b", count)]


def test_a_waiting_putter_whose_key_is_taken_away_waits_on() -> None:
    edge = keyed(1)
    edge.put(("a", 1))
    call = waiting_put(edge, ("b", 1))
    assert edge.try_put(("a", 1)) is PutResult.COALESCED
    assert not call.done()
    edge.get()
    assert call.outcome() is PutResult.OK
    wait_until(lambda: edge.depth() == 1)
    assert drained(edge) == [("b", 1)]


def test_a_put_inside_the_comparison_of_a_putter_that_waited_is_told_so() -> None:
    def nested() -> None:
        if armed:
            armed.clear()
            try:
                answers.append(edge.put(("z", 1), timeout=DEADLINE_S))
            except SchedulerStateError as error:
                answers.append(error)

    armed: list[int] = []
    answers: list[object] = []
    edge = keyed(3, key=lambda pair: Key(pair[0], 7, nested))
    edge.put_many([("a", 1), ("b", 1), ("c", 1)])
    call = waiting_put(edge, ("y", 1))
    armed.append(1)
    edge.get_many(2)
    assert call.outcome() is PutResult.OK
    # There is room for both: the nested put is in, or was told that it must not wait here.
    (answer,) = answers
    assert answer is PutResult.OK or isinstance(answer, SchedulerStateError)
    drained(edge)
