"""set_capacity: more is handed out at once, with less nothing is lost."""

from __future__ import annotations

from typing import Any

import pytest
from edges import drained, make_edge, waiting_put

from graphflow import Block, Coalesce, Drop, Latest, Policy, PutResult


def test_more_room_is_there_at_once() -> None:
    edge = make_edge(1)
    edge.put(1)
    edge.set_capacity(3)
    assert edge.capacity == edge.stats().capacity == 3
    assert [edge.try_put(number) for number in (2, 3, 4)] == [PutResult.OK] * 2 + [PutResult.BLOCKED]
    assert drained(edge) == [1, 2, 3]


@pytest.mark.parametrize("capacity", [3, 9, 100])
def test_waiting_putters_get_the_new_room_in_order(capacity: int) -> None:
    edge = make_edge(1)
    edge.put(0)
    calls = [waiting_put(edge, number) for number in range(1, 13)]
    edge.set_capacity(capacity)
    inside = min(capacity, 13)
    assert [edge.try_get() for _ in range(inside)] == list(range(inside))
    while edge.depth():
        drained(edge)
    assert [call.outcome() for call in calls] == [PutResult.OK] * 12


@pytest.mark.parametrize("policy", [Block(), Drop(), Latest(), Coalesce(lambda old, new: f"{old}{new}")])
def test_less_loses_nothing_and_the_edge_drains_to_its_bound(policy: Policy) -> None:
    edge = make_edge(10, policy)
    edge.put_many(range(10))
    edge.set_capacity(3)
    assert edge.depth() == 10
    assert edge.is_full()
    assert edge.get_many(7) == list(range(7))
    assert edge.is_full()
    assert edge.get() == 7
    assert not edge.is_full()
    assert edge.put("x") is PutResult.OK
    assert drained(edge) == [8, 9, "x"]


@pytest.mark.parametrize(
    ("policy", "answer", "left"),
    [
        (Block(), PutResult.BLOCKED, [0, 1, 2, 3]),
        (Drop(), PutResult.DROPPED, [0, 1, 2, 3]),
        (Latest(), PutResult.REPLACED, [1, 2, 3, "x"]),
        (Coalesce(lambda old, new: f"{old}{new}"), PutResult.COALESCED, [0, 1, 2, "3x"]),
    ],
)
def test_each_policy_treats_an_over_full_edge_as_full(policy: Policy, answer: PutResult, left: list[Any]) -> None:
    edge = make_edge(4, policy)
    edge.put_many(range(4))
    edge.set_capacity(2)
    assert edge.try_put("x") is answer
    assert drained(edge) == left


def test_a_waiting_putter_waits_until_an_over_full_edge_has_drained() -> None:
    edge = make_edge(4)
    edge.put_many(range(4))
    call = waiting_put(edge, "x")
    edge.set_capacity(2)
    assert edge.get_many(2) == [0, 1]
    assert not call.done()
    assert edge.depth() == 2
    edge.get()
    assert call.outcome() is PutResult.OK
    assert drained(edge) == [3, "x"]


@pytest.mark.parametrize(("value", "error"), [(0, ValueError), (-1, ValueError), (2**70, ValueError)])
def test_a_capacity_out_of_range_changes_nothing(value: int, error: type[Exception]) -> None:
    edge = make_edge(3)
    with pytest.raises(error, match="capacity"):
        edge.set_capacity(value)
    assert edge.capacity == 3


@pytest.mark.parametrize("value", [None, True, 1.5, "3"])
def test_a_capacity_of_a_wrong_type_changes_nothing(value: Any) -> None:
    edge = make_edge(3)
    with pytest.raises(TypeError, match="capacity"):
        edge.set_capacity(value)
    assert edge.capacity == 3


def test_resizing_back_and_forth_keeps_order_and_storage() -> None:
    edge = make_edge(1)
    expected = 0
    number = 0
    for capacity in [5, 1, 40, 7, 300, 1, 2]:
        edge.set_capacity(capacity)
        while edge.try_put(number) is PutResult.OK:
            number += 1
        for _ in range(edge.depth() // 2):
            assert edge.get() == expected
            expected += 1
    assert drained(edge) == list(range(expected, number))


def test_a_keyed_edge_grows_with_its_index() -> None:
    edge = make_edge(1, Coalesce(lambda old, new: (old[0], old[1] + new[1]), key=lambda pair: pair[0]))
    edge.put((0, 1))
    for capacity in (10, 100, 1000):
        edge.set_capacity(capacity)
        for key in range(capacity):
            edge.put((key, 1))
    taken = drained(edge)
    assert [key for key, _ in taken] == list(range(1000))
    assert sum(count for _, count in taken) == 1111
