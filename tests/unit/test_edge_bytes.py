"""Edges bounded by bytes."""

from __future__ import annotations

import array
import random
from typing import Any

import pytest
from edges import drained, make_edge, waiting_put

from graphflow import Coalesce, Drop, Latest, Message, MessageType, PutResult


def test_an_edge_is_full_by_items_or_by_bytes_whichever_comes_first() -> None:
    edge = make_edge(3, max_bytes=10)
    assert edge.try_put(b"x" * 6) is PutResult.OK
    assert edge.try_put(b"x" * 5) is PutResult.BLOCKED
    assert edge.try_put(b"x" * 4) is PutResult.OK
    assert edge.is_full()
    assert edge.try_put(b"") is PutResult.OK
    assert edge.try_put(b"") is PutResult.BLOCKED
    assert [len(item) for item in drained(edge)] == [6, 4, 0]


def test_bytes_are_given_back_by_what_leaves() -> None:
    edge = make_edge(max_bytes=10)
    for _ in range(5):
        edge.put("1234567890")
        assert edge.stats().bytes == 10
        edge.get()
        assert edge.stats().bytes == 0


@pytest.mark.parametrize("policy", [None, Drop(), Latest(), Coalesce(max), Coalesce(max, key=len)])
def test_an_item_larger_than_the_bound_is_a_value_error(policy: Any) -> None:
    edge = make_edge(policy=policy, max_bytes=10)
    edge.put(b"x" * 10)
    for put in (edge.put, edge.try_put):
        with pytest.raises(ValueError, match=r"11.*10"):
            put(b"x" * 11)
    assert edge.stats().offered == 1
    assert drained(edge) == [b"x" * 10]


@pytest.mark.parametrize(
    ("payload", "size"),
    [(b"abc", 3), ("abcd", 4), (bytearray(5), 5), ([1, 2], 2), (memoryview(array.array("q", [1, 2])), 16)],
)
def test_without_sizeof_the_length_counts(payload: Any, size: int) -> None:
    edge = make_edge(max_bytes=100)
    edge.put(payload)
    edge.put(Message(MessageType.DATA, payload))
    assert edge.stats().bytes == 2 * size
    drained(edge)


def test_without_sizeof_a_payload_without_length_is_a_type_error() -> None:
    edge = make_edge(max_bytes=100)
    with pytest.raises(TypeError, match="sizeof"):
        edge.put(7)
    assert edge.stats().offered == 0


def test_sizeof_sees_payloads() -> None:
    edge = make_edge(max_bytes=100, sizeof=lambda payload: payload["size"])
    edge.put({"size": 30})
    edge.put(Message(MessageType.DATA, {"size": 20}))
    assert edge.stats().bytes == 50
    drained(edge)


@pytest.mark.parametrize("size", [True, 1.5, "1", None])
def test_a_size_of_a_wrong_type_is_a_type_error(size: object) -> None:
    edge = make_edge(max_bytes=100, sizeof=lambda payload: size)
    with pytest.raises(TypeError, match="sizeof"):
        edge.put(1)
    assert edge.stats().offered == 0


@pytest.mark.parametrize("size", [-1, 2**62 + 1, 2**70])
def test_a_size_out_of_range_is_a_value_error(size: int) -> None:
    edge = make_edge(max_bytes=100, sizeof=lambda payload: size)
    with pytest.raises(ValueError, match=r"sizeof|max_bytes"):
        edge.put(1)
    assert edge.stats().offered == 0


def test_huge_sizes_do_not_wrap_around() -> None:
    try:
        edge = make_edge(10, sizeof=lambda payload: 2**62)
        for number in range(4):
            edge.put(number)
    except ValueError:
        return  # refused instead
    assert edge.stats().bytes >= 2**62
    drained(edge)


def test_the_largest_bound_is_exact() -> None:
    edge = make_edge(max_bytes=2**62, sizeof=lambda payload: payload)
    edge.put(2**62)
    assert edge.try_put(2**62) is PutResult.BLOCKED
    assert edge.try_put(1) is PutResult.BLOCKED
    assert edge.try_put(0) is PutResult.OK
    drained(edge)


def test_sizeof_that_fails_raises_from_the_put() -> None:
    edge = make_edge(max_bytes=100, sizeof=lambda payload: 1 // payload)
    with pytest.raises(ZeroDivisionError):
        edge.put(0)
    assert edge.stats().offered == 0


def test_latest_evicts_as_many_as_it_takes_and_no_more() -> None:
    edge = make_edge(10, Latest(), max_bytes=10)
    edge.put_many(["aaa", "bb", "cccc", "d"])
    assert edge.put("eeeee") is PutResult.REPLACED
    assert drained(edge) == ["cccc", "d", "eeeee"]
    assert edge.stats().replaced == 2


def test_latest_may_evict_everything() -> None:
    edge = make_edge(100, Latest(), max_bytes=50)
    edge.put_many(["x"] * 50)
    assert edge.put("y" * 50) is PutResult.REPLACED
    assert drained(edge) == ["y" * 50]
    assert edge.stats().replaced == 50


def test_drop_discards_what_does_not_fit_by_bytes() -> None:
    edge = make_edge(10, Drop(), max_bytes=4)
    edge.put("aaa")
    assert edge.put("bb") is PutResult.DROPPED
    assert edge.put("b") is PutResult.OK
    assert drained(edge) == ["aaa", "b"]


@pytest.mark.parametrize("key", [None, lambda payload: 1])
def test_a_merge_that_no_longer_fits_is_blocked_and_the_queue_unchanged(key: Any) -> None:
    edge = make_edge(1, Coalesce(lambda old, new: old + new, key=key), max_bytes=5)
    edge.put("abc")
    assert edge.put("de") is PutResult.COALESCED
    assert edge.try_put("f") is PutResult.BLOCKED
    with pytest.raises(TimeoutError):
        edge.put("f", timeout=0.01)
    assert edge.stats().bytes == 5
    call = waiting_put(edge, "f")
    assert edge.get() == "abcde"
    assert call.outcome() is PutResult.OK
    assert drained(edge) == ["f"]


def test_a_merge_that_shrinks_lets_waiting_putters_in() -> None:
    edge = make_edge(10, max_bytes=10)
    edge.put("0123456789")
    calls = [waiting_put(edge, letter * 4) for letter in "ab"]
    assert edge.try_put("x", Coalesce(lambda old, new: new)) is PutResult.COALESCED
    assert [call.outcome() for call in calls] == [PutResult.OK] * 2
    assert drained(edge) == ["x", "aaaa", "bbbb"]


def test_waiting_putters_are_moved_while_they_fit_and_the_next_waits_on() -> None:
    edge = make_edge(10, max_bytes=10)
    edge.put("0123456789")
    calls = [waiting_put(edge, text) for text in ("aaaa", "bbbb", "cccc", "d")]
    edge.get()
    assert [call.outcome() for call in calls[:2]] == [PutResult.OK] * 2
    assert edge.depth() == 2
    assert not calls[2].done()
    assert not calls[3].done()  # it would fit, but is not the longest-waiting
    assert edge.get() == "aaaa"
    assert [call.outcome() for call in calls[2:]] == [PutResult.OK] * 2
    assert drained(edge) == ["bbbb", "cccc", "d"]


def test_when_a_large_putter_gives_up_the_smaller_one_behind_it_gets_in() -> None:
    edge = make_edge(10, max_bytes=10)
    edge.put("01234567")
    large = waiting_put(edge, "x" * 9, timeout=0.3)
    small = waiting_put(edge, "yy")
    with pytest.raises(TimeoutError):
        large.outcome()
    assert small.outcome() is PutResult.OK
    assert drained(edge) == ["01234567", "yy"]


def test_a_small_newcomer_does_not_overtake_a_large_putter_that_waits() -> None:
    edge = make_edge(10, max_bytes=10)
    edge.put("01234567")
    large = waiting_put(edge, "x" * 9)
    assert edge.try_put("y") is PutResult.BLOCKED
    edge.get()
    assert large.outcome() is PutResult.OK
    assert drained(edge) == ["x" * 9]


def test_bytes_are_the_sum_of_what_is_queued(rng: random.Random) -> None:
    policies = [None, Drop(), Latest(), Coalesce(lambda old, new: (old + new)[:20])]
    edge = make_edge(20, max_bytes=100)
    for _ in range(3000):
        if rng.random() < 0.7:
            edge.try_put("x" * rng.randrange(40), rng.choice(policies))
        else:
            edge.try_get()
        assert 0 <= edge.stats().bytes <= 100
    left = edge.stats().bytes
    assert left == sum(len(item) for item in drained(edge))
    assert edge.stats().bytes == 0


def test_control_takes_no_bytes() -> None:
    edge = make_edge(2, max_bytes=4)
    edge.put("abcd")
    assert edge.put(Message(MessageType.CONTROL, "x" * 1000)) is PutResult.OK
    assert edge.stats().bytes == 4
    assert len(drained(edge)) == 2


def test_latest_that_evicts_more_than_it_needs_lets_waiting_putters_into_the_rest() -> None:
    edge = make_edge(100, max_bytes=107)
    edge.put_many([*["x" * 13] * 7, "x" * 16])  # 107 bytes, and the storage is full of items too
    calls = [waiting_put(edge, letter * 5) for letter in "ab"]
    assert edge.try_put("c", Latest()) is PutResult.REPLACED
    assert [call.outcome() for call in calls] == [PutResult.OK] * 2
    assert drained(edge)[-3:] == ["c", "aaaaa", "bbbbb"]
