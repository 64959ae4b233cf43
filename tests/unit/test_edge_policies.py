"""Block, Drop and Latest, as the edge's own and for one put."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from edges import drained, make_edge, waiting_put

from graphflow import Block, Coalesce, Drop, Latest, PutResult

if TYPE_CHECKING:
    from graphflow import Edge, Policy

CAPACITIES = [1, 2, 8, 9, 50]


def filled(capacity: int, policy: Policy | None) -> Edge:
    edge = make_edge(capacity, policy)
    for number in range(capacity):
        assert edge.try_put(number) is PutResult.OK
    return edge


@pytest.mark.parametrize("capacity", CAPACITIES)
def test_block_refuses_what_does_not_fit_and_keeps_nothing_of_it(capacity: int) -> None:
    edge = filled(capacity, Block())
    assert edge.try_put("more") is PutResult.BLOCKED
    assert drained(edge) == list(range(capacity))
    assert edge.try_put("again") is PutResult.OK


@pytest.mark.parametrize("capacity", CAPACITIES)
def test_drop_discards_the_newcomer(capacity: int) -> None:
    edge = filled(capacity, Drop())
    assert edge.try_put("more") is PutResult.DROPPED
    assert edge.put("more still") is PutResult.DROPPED
    assert drained(edge) == list(range(capacity))
    assert edge.stats().dropped == 2


@pytest.mark.parametrize("capacity", CAPACITIES)
def test_latest_keeps_the_newest_in_order(capacity: int) -> None:
    edge = filled(capacity, Latest())
    for number in range(capacity, 3 * capacity + 1):
        assert edge.put(number) is PutResult.REPLACED
    assert drained(edge) == list(range(2 * capacity + 1, 3 * capacity + 1))
    assert edge.stats().replaced == 2 * capacity + 1


@pytest.mark.parametrize("own", [Block(), Drop(), Latest(), Coalesce(lambda old, new: "merged")])
@pytest.mark.parametrize(
    ("policy", "answer", "left"),
    [
        (Block(), PutResult.BLOCKED, ["old"]),
        (Drop(), PutResult.DROPPED, ["old"]),
        (Latest(), PutResult.REPLACED, ["new"]),
        (Coalesce(lambda old, new: old + new), PutResult.COALESCED, ["oldnew"]),
    ],
)
def test_the_policy_of_a_put_goes_before_the_edges_own(
    own: Policy, policy: Policy, answer: PutResult, left: list[str]
) -> None:
    edge = make_edge(1, own)
    edge.put("old")
    assert edge.try_put("new", policy) is answer
    assert drained(edge) == left


def test_the_policy_of_a_put_is_for_that_put_alone() -> None:
    edge = filled(1, None)
    assert edge.try_put(1, Latest()) is PutResult.REPLACED
    assert edge.try_put(2) is PutResult.BLOCKED


@pytest.mark.parametrize("policy", [Block(), Drop(), Latest(), Coalesce(max)])
def test_with_room_every_policy_just_takes_the_item(policy: Policy) -> None:
    edge = make_edge(2)
    assert edge.try_put(1, policy) is PutResult.OK
    assert edge.try_put(2, policy) is PutResult.OK


@pytest.mark.parametrize(
    ("policy", "full"),
    [
        (Block(), PutResult.BLOCKED),
        (Drop(), PutResult.DROPPED),
        (Latest(), PutResult.REPLACED),
        (Coalesce(max), PutResult.COALESCED),
    ],
)
def test_a_built_in_policy_can_be_asked_by_users(policy: Policy, full: PutResult) -> None:
    assert policy.on_enqueue(2, 1, "item") is PutResult.OK
    assert policy.on_enqueue(2, 2, "item") is full


def test_an_edge_shared_by_drop_and_latest_keeps_its_bound() -> None:
    edge = make_edge(3)
    for number in range(30):
        edge.try_put(number, Latest() if number % 3 else Drop())
        assert edge.depth() <= 3
    assert drained(edge) == [26, 28, 29]


def test_block_applies_backpressure_until_get() -> None:
    """A put waits for as long as nobody takes, then goes in; each get lets in one, the longest-waiting first."""
    edge = filled(2, Block())
    waiting = [waiting_put(edge, name) for name in ("first", "second", "third")]
    assert edge.depth() == 2
    for done, expected in enumerate([0, 1, "first"], 1):
        assert edge.get() == expected
        assert waiting[done - 1].outcome() is PutResult.OK
        assert [call.done() for call in waiting] == [True] * done + [False] * (3 - done)
        assert edge.depth() == 2
    assert drained(edge) == ["second", "third"]
    assert (edge.stats().offered, edge.stats().dropped, edge.stats().peak_depth) == (5, 0, 2)


@pytest.mark.parametrize("capacity", CAPACITIES)
def test_drop_increments_counter_and_preserves_depth(capacity: int) -> None:
    edge = filled(capacity, Drop())
    for lost in range(1, 6):
        assert edge.try_put("lost") is PutResult.DROPPED
        stats = edge.stats()
        assert (stats.dropped, stats.depth, stats.offered) == (lost, capacity, capacity + lost)
    assert edge.get() == 0
    assert edge.try_put("room") is PutResult.OK
    assert (edge.stats().dropped, edge.depth()) == (5, capacity)
    assert drained(edge) == [*range(1, capacity), "room"]


@pytest.mark.parametrize("capacity", CAPACITIES)
def test_latest_keeps_only_newest_during_burst(capacity: int) -> None:
    edge = filled(capacity, Latest())
    for number in range(capacity, 500):
        assert edge.try_put(number) is PutResult.REPLACED
        assert edge.depth() == capacity
    assert edge.stats().replaced == 500 - capacity
    assert drained(edge) == list(range(500 - capacity, 500))


@pytest.mark.parametrize("capacity", CAPACITIES)
def test_coalesce_merges_fast_and_is_pure(capacity: int) -> None:
    """One call of the function a put, none elsewhere; it is given what is queued, and what it is given stays as it
    was: the queue changes by the result alone."""
    asked: list[tuple[tuple[int, ...], tuple[int, ...]]] = []

    def join(old: tuple[int, ...], new: tuple[int, ...]) -> tuple[int, ...]:
        asked.append((old, new))
        assert edge.depth() == capacity  # no lock is held, and the old item is still there
        return old + new

    edge = make_edge(capacity, Coalesce(join))
    for number in range(capacity):
        assert edge.try_put((number,)) is PutResult.OK
    assert asked == []
    for number in range(capacity, 300):
        assert edge.try_put((number,)) is PutResult.COALESCED
    assert asked == [(tuple(range(capacity - 1, number)), (number,)) for number in range(capacity, 300)]
    assert edge.stats().coalesced == 300 - capacity
    assert drained(edge) == [*((number,) for number in range(capacity - 1)), tuple(range(capacity - 1, 300))]
