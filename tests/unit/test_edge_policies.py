"""Block, Drop and Latest, as the edge's own and for one put."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from edges import drained, make_edge

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
