"""A putter whose merge has lost eight rounds claims the item, and what others do who meet the claim.

The rounds are lost for sure: the merge function itself changes the item, by a put of its own ("nested").
"""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from counting import assert_conserved
from edges import (
    DEADLINE_S,
    Call,
    drained,
    make_edge,
    stopped_clock,
    sum_of_a_race,
    waiting_get,
    waiting_put,
)

from graphflow import Coalesce, Edge, EdgeClosed, Latest, PutResult, SchedulerStateError

ROUNDS = 8  # that are lost before a claim


class Contest:
    """A merge function that loses its rounds, then stands in the claimed one until it is let go."""

    def __init__(self, key: Any = None) -> None:
        self.rounds = 0
        self.claimed = threading.Event()
        self.let_go = threading.Event()
        self.policy = Coalesce(self.merge, key)
        self.edge: Edge | None = None
        self.per_put: Coalesce | None = None

    def merge(self, old: tuple[str, int], new: tuple[str, int]) -> tuple[str, int]:
        if new[1] != 1000:
            return new[0], old[1] + new[1]
        assert self.edge is not None
        self.rounds += 1
        if self.rounds <= ROUNDS:
            assert self.edge.try_put((new[0], 1), self.per_put) is PutResult.COALESCED
        else:
            self.claimed.set()
            assert self.let_go.wait(DEADLINE_S)
        return new[0], old[1] + new[1]


def contested(capacity: int = 1, key: Any = None, items: Any = (("k", 0),), **bounds: Any) -> tuple[Contest, Call]:
    """An edge whose item "k" is claimed, by the call, until contest.let_go is set."""
    contest = Contest(key)
    edge = contest.edge = make_edge(capacity, contest.policy, **bounds)
    edge.put_many(items)
    call = Call(edge.put, ("k", 1000))
    assert contest.claimed.wait(DEADLINE_S)
    return contest, call


def test_after_eight_lost_rounds_the_ninth_is_won() -> None:
    contest, call = contested()
    contest.let_go.set()
    assert call.outcome() is PutResult.COALESCED
    assert contest.rounds == ROUNDS + 1
    assert contest.edge is not None
    assert drained(contest.edge) == [("k", 1000 + ROUNDS)]


def test_a_consumer_that_always_takes_the_item_makes_the_putter_start_afresh() -> None:
    def merge(old: int, new: int) -> int:
        taken.append(edge.try_get())
        return old + new

    taken: list[int | None] = []
    edge: Edge = make_edge(1, Coalesce(merge))
    for number in range(100):
        assert edge.put(number) is PutResult.OK
    assert taken == list(range(99))


def test_a_claimed_item_is_not_takeable_until_the_merge_is_done() -> None:
    contest, call = contested()
    edge = contest.edge
    assert edge is not None
    assert edge.try_get() is None
    assert edge.depth() == 1
    assert not edge.is_empty()
    with pytest.raises(TimeoutError):
        edge.get(timeout=0.01)
    assert edge.get_many(5) == []
    getter = waiting_get(edge)
    contest.let_go.set()
    assert getter.outcome() == ("k", 1000 + ROUNDS)
    assert call.outcome() is PutResult.COALESCED


def test_what_lies_before_a_claimed_item_can_be_taken() -> None:
    contest, call = contested(2, items=[("j", 0), ("k", 0)])
    assert contest.edge is not None
    assert contest.edge.get() == ("j", 0)
    assert contest.edge.try_get() is None
    contest.let_go.set()
    assert call.outcome() in (PutResult.COALESCED, PutResult.OK)
    assert sum(number for _, number in drained(contest.edge)) == 1000 + ROUNDS


def test_another_putter_waits_for_the_claim_and_is_merged_after_it() -> None:
    contest, call = contested()
    assert contest.edge is not None
    others = [Call(contest.edge.put, ("k", 1)) for _ in range(3)]
    contest.let_go.set()
    assert [other.outcome() for other in others] == [PutResult.COALESCED] * 3
    assert call.outcome() is PutResult.COALESCED
    assert drained(contest.edge) == [("k", 1000 + ROUNDS + 3)]


def test_a_claimed_item_is_not_evicted() -> None:
    contest, call = contested()
    assert contest.edge is not None
    assert contest.edge.try_put(("x", 0), Latest()) is PutResult.BLOCKED
    contest.let_go.set()
    call.outcome()
    assert contest.edge.try_put(("x", 0), Latest()) is PutResult.REPLACED
    assert drained(contest.edge) == [("x", 0)]


@pytest.mark.parametrize("getters", [1, 2, 3, 6])
def test_close_releases_every_getter_that_met_a_claim(getters: int) -> None:
    contest, call = contested()
    edge = contest.edge
    assert edge is not None
    calls = [waiting_get(edge) for _ in range(getters)]
    edge.close()
    contest.let_go.set()
    assert call.was_closed()
    outcomes = [other.exception(DEADLINE_S) or other.result() for other in calls]
    assert sum(isinstance(outcome, EdgeClosed) for outcome in outcomes) == getters - 1
    assert ("k", ROUNDS) in outcomes


def test_putters_of_a_latest_edge_that_met_a_claim_all_get_in() -> None:
    contest = Contest()
    contest.per_put = contest.policy
    edge = contest.edge = make_edge(1, Latest())
    edge.put(("k", 0))
    call = Call(edge.try_put, ("k", 1000), contest.policy)
    assert contest.claimed.wait(DEADLINE_S)
    others = [waiting_put(edge, ("x", number)) for number in range(3)]
    contest.let_go.set()
    assert call.outcome() is PutResult.COALESCED
    assert [other.outcome() for other in others] == [PutResult.REPLACED] * 3
    assert drained(edge) == [("x", 2)]


def test_a_merge_that_would_wait_for_its_own_claim_is_told_so() -> None:
    def merge(old: object, new: int) -> int:
        if new == 1000:
            try:
                edge.get(timeout=DEADLINE_S)
                edge.try_put(len(rounds))
                rounds.append(1)
            except (SchedulerStateError, TimeoutError) as error:
                errors.append(error)
        return new

    errors: list[Exception] = []
    rounds: list[int] = []
    edge: Edge = make_edge(1, Coalesce(merge))
    edge.put("first")
    edge.put(1000)
    assert len(rounds) == ROUNDS
    assert [type(error) for error in errors] == [SchedulerStateError]


def test_a_merge_that_fails_in_the_claimed_round_gives_the_claim_up() -> None:
    def merge(old: int, new: int) -> int:
        if new == 1000:
            rounds.append(1)
            if len(rounds) > ROUNDS:
                raise KeyboardInterrupt
            edge.try_put(1)
        return old + new

    rounds: list[int] = []
    edge: Edge = make_edge(1, Coalesce(merge))
    edge.put(0)
    with pytest.raises(KeyboardInterrupt):
        edge.put(1000)
    assert edge.try_get() == ROUNDS


def test_an_item_that_expires_while_claimed_stops_nobody() -> None:
    contest = Contest(key=lambda pair: pair[0])
    edge = contest.edge = make_edge(8, contest.policy, ttl_s=10)
    clock = stopped_clock(edge)
    edge.put_many([("head", 0), ("k", 0)])
    call = Call(edge.put, ("k", 1000))
    assert contest.claimed.wait(DEADLINE_S)
    clock.advance(9)
    edge.put(("head", 1))  # fresh again, in front of the claimed item
    clock.advance(2)
    looks = [Call(edge.depth), Call(edge.try_get)]
    contest.let_go.set()
    assert call.outcome() is not None
    for look in looks:
        look.outcome()  # whoever span until the head expires would spin for ever: the clock stands
    assert_conserved(edge)


def test_two_merge_functions_that_put_to_each_others_edge_end() -> None:
    def merge_to(other: int) -> Any:
        def merge(old: int, new: int) -> int:
            if depth[0] < 3:
                depth[0] += 1
                edges[other].try_put(1)
                depth[0] -= 1
            return old + new

        return merge

    depth = [0]
    edges: list[Edge] = [make_edge(1, Coalesce(merge_to(1))), make_edge(1, Coalesce(merge_to(0)))]
    for edge in edges:
        edge.put(0)
    calls = [Call(edge.put, 1) for edge in edges for _ in range(3)]
    for call in calls:
        call.outcome()
    for edge in edges:
        drained(edge)


def test_a_race_of_merging_putters_loses_nothing(fast_switching: None) -> None:
    edge = make_edge(1, Coalesce(lambda old, new: old + new))
    assert sum_of_a_race(edge, 300) == 4 * 300
    assert edge.stats().coalesced > 0


def test_a_putter_that_waits_for_a_claim_is_in_nobodys_way() -> None:
    contest, call = contested(100, key=lambda pair: pair[0])
    edge = contest.edge
    assert edge is not None
    other = waiting_put(edge, ("k", 1))
    answer = edge.try_put(("another key", 1))
    contest.let_go.set()
    assert answer is PutResult.OK
    assert call.outcome() is other.outcome() is PutResult.COALESCED
    assert drained(edge) == [("k", 1000 + ROUNDS + 1), ("another key", 1)]


def test_a_slow_merge_refuses_nobody_who_may_wait(fast_switching: None) -> None:
    def merge(old: int, new: int) -> int:
        threading.Event().wait(0.005)
        return old + new

    edge = make_edge(1, Coalesce(merge))
    edge.put(0)
    calls = [Call(lambda: [edge.put(1, timeout=DEADLINE_S) for _ in range(4)]) for _ in range(8)]
    assert {answer for call in calls for answer in call.outcome()} == {PutResult.COALESCED}
    assert drained(edge) == [32]


def test_getters_that_met_a_claim_on_a_closed_edge_sleep() -> None:
    contest, call = contested()
    edge = contest.edge
    assert edge is not None
    calls = [waiting_get(edge) for _ in range(3)]
    edge.close()
    used = time.process_time()
    threading.Event().wait(0.3)
    assert time.process_time() - used < 0.15
    contest.let_go.set()
    assert call.was_closed()
    assert sum(isinstance(other.exception(DEADLINE_S), EdgeClosed) for other in calls) == 2


def test_room_made_while_a_claim_waiter_looks_again_goes_to_the_next() -> None:
    """Payloads are (key, size, what). All of "k": a merge with "big" never fits, one with "owner" loses its rounds."""

    def merge(old: tuple[str, int, str], new: tuple[str, int, str]) -> tuple[str, int, str]:
        if new[2] == "big":
            return "k", 30, "big"
        if new[2] == "owner":
            rounds.append(1)
            if len(rounds) <= ROUNDS:
                edge.try_put(("k", 8, "nested"))
            else:
                calls.append(waiting_put(edge, ("p", 8, "patient")))
                calls.append(waiting_put(edge, ("k", 1, "big")))
        return "k", 8, f"{new[2]} {len(rounds)}"

    rounds: list[int] = []
    calls: list[Call] = []
    policy = Coalesce(merge, key=lambda payload: payload[0])
    edge = make_edge(100, policy, max_bytes=20, sizeof=lambda payload: payload[1])
    edge.put_many([("h", 6, "head"), ("k", 8, "item")])
    # The claim is given up when the put ends, which calls "big" back. Before that has run the get makes room.
    taken = (edge.put(("k", 8, "owner")), edge.try_get())
    assert taken == (PutResult.COALESCED, ("h", 6, "head"))
    patient, big = calls
    assert patient.outcome() is PutResult.OK
    assert not big.done()
    assert edge.get() == ("k", 8, f"owner {ROUNDS + 1}")
    assert big.outcome() is PutResult.OK
    assert drained(edge) == [("p", 8, "patient"), ("k", 1, "big")]
