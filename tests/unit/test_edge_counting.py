"""Order, depth and counts of one edge in one thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from counting import assert_conserved
from edges import drained, make_edge

from graphflow import Coalesce, Drop, Edge, Latest, Message, MessageType, PutResult
from graphflow.core.edges.stats import EdgeStats

if TYPE_CHECKING:
    import random


@pytest.mark.parametrize("capacity", [1, 2, 3, 7, 8, 9, 64, 1000])
def test_items_leave_in_the_order_they_came(capacity: int) -> None:
    edge = make_edge(capacity)
    assert [edge.try_put(number) for number in range(capacity)] == [PutResult.OK] * capacity
    assert edge.try_put(capacity) is PutResult.BLOCKED
    assert drained(edge) == list(range(capacity))


def test_order_survives_storage_that_grows_while_it_has_wrapped_round() -> None:
    edge = make_edge(5000)
    expected = 0
    number = 0
    for burst in (8, 9, 30, 17, 400, 1000):
        for _ in range(burst):
            edge.put(number)
            number += 1
        for _ in range(burst // 2):
            assert edge.get() == expected
            expected += 1
    assert drained(edge) == list(range(expected, number))


def test_every_member_of_put_result_is_truthy() -> None:
    assert all(PutResult)


def test_an_item_is_handed_on_as_the_very_object() -> None:
    edge = make_edge()
    items: list[object] = [object(), Message(MessageType.DATA, 1), Message(MessageType.ERROR, 1), [1]]
    for item in items:
        edge.put(item)
    assert all(taken is item for taken, item in zip(drained(edge), items, strict=True))


def test_a_fresh_edge_has_counted_nothing() -> None:
    assert make_edge(7).stats() == EdgeStats(
        **dict.fromkeys(EdgeStats.__slots__, 0) | {"capacity": 7},
    )


def test_depth_empty_and_full_follow_the_items() -> None:
    edge = make_edge(2)
    assert (edge.depth(), edge.is_empty(), edge.is_full()) == (0, True, False)
    edge.put(1)
    assert (edge.depth(), edge.is_empty(), edge.is_full()) == (1, False, False)
    edge.put(2)
    assert (edge.depth(), edge.is_empty(), edge.is_full()) == (2, False, True)
    edge.get()
    assert (edge.depth(), edge.is_empty(), edge.is_full()) == (1, False, False)


def test_refusals_and_errors_offer_nothing() -> None:
    edge = make_edge(1)
    edge.put(1)
    assert edge.try_put(2) is PutResult.BLOCKED
    with pytest.raises(TimeoutError):
        edge.put(3, timeout=0)
    with pytest.raises(TypeError):
        edge.put(None)
    counts = edge.stats()
    assert (counts.offered, counts.depth) == (1, 1)
    assert counts.blocked >= 2


def test_peak_depth_is_the_deepest_it_has_been_lane_included() -> None:
    edge = make_edge(10)
    edge.put_many(range(4))
    edge.put(Message(MessageType.CONTROL, "c"))
    drained(edge)
    edge.put(1)
    assert edge.stats().peak_depth == 5


def test_peak_depth_counts_control_that_comes_before_the_data() -> None:
    edge = make_edge(10)
    edge.put(Message(MessageType.CONTROL, "c"))
    edge.put_many(range(4))
    assert edge.stats().peak_depth == 5


def test_each_name_counts_its_own() -> None:
    edge = make_edge(1, Drop())
    edge.put("kept")
    assert edge.put("lost") is PutResult.DROPPED
    assert edge.try_put("newer", Latest()) is PutResult.REPLACED
    assert edge.try_put("merged", Coalesce(lambda old, new: old + new)) is PutResult.COALESCED
    assert edge.get() == "newermerged"
    counts = edge.stats()
    assert (counts.offered, counts.dropped, counts.replaced, counts.coalesced, counts.delivered) == (4, 1, 1, 1, 1)


def test_stats_are_a_snapshot() -> None:
    edge = make_edge()
    before = edge.stats()
    edge.put(1)
    assert before.offered == 0
    with pytest.raises(AttributeError):
        before.offered = 1  # type: ignore[misc]


def test_counts_hold_after_any_mixture_of_calls(rng: random.Random) -> None:
    policies = [None, Drop(), Latest(), Coalesce(lambda old, new: new)]
    for _ in range(20):
        edge: Edge = make_edge(rng.randint(1, 20), rng.choice(policies))
        for number in range(200):
            if rng.random() < 0.6:
                edge.try_put(number, rng.choice(policies))
            else:
                edge.try_get()
            assert_conserved(edge)
        left = edge.depth()
        assert len(drained(edge)) == left
