"""Time to live: what is older is not delivered, counts as expired, and makes room like a get."""

from __future__ import annotations

import time
from typing import Any

import pytest
from counting import assert_conserved
from edges import Call, drained, make_edge, stopped_clock, wait_until, waiting_get, waiting_put

from graphflow import Coalesce, Drop, Edge, Latest, Message, MessageType, PutResult

TTL_S = 0.05


def expired_count(edge: Edge) -> int:
    return edge.stats().expired


def all_expired(edge: Edge) -> None:
    """Return when what is in the edge now has expired."""
    counts = edge.stats()  # one look: what expires between two would be missed
    want = counts.expired + counts.depth
    wait_until(lambda: expired_count(edge) >= want, "the expiry")


def let_expire() -> None:
    """Return when everything put before is past its time, without a look at any edge."""
    end = time.monotonic() + TTL_S
    wait_until(lambda: time.monotonic() > end)


@pytest.mark.parametrize("key", [False, True])
@pytest.mark.parametrize("count", [1, 2, 31, 32, 33, 100])
def test_what_is_past_its_time_is_counted_and_not_delivered(count: int, key: bool) -> None:
    edge = make_edge(100, Coalesce(max, key=lambda payload: payload) if key else None, ttl_s=TTL_S)
    edge.put_many(range(count))
    let_expire()
    assert edge.try_get() is None
    counts = edge.stats()
    assert (counts.expired, counts.delivered, counts.depth) == (count, 0, 0)


def test_what_is_in_time_is_delivered() -> None:
    edge = make_edge(ttl_s=3600)
    edge.put_many(range(10))
    assert drained(edge) == list(range(10))
    assert expired_count(edge) == 0


@pytest.mark.parametrize("look", ["depth", "is_empty", "is_full", "stats", "get_many", "repr"])
def test_every_look_sees_it_gone(look: str) -> None:
    edge = make_edge(1, ttl_s=TTL_S)
    edge.put(1)
    let_expire()
    seen: Any = repr(edge) if look == "repr" else getattr(edge, look)(*([5] if look == "get_many" else []))
    if look == "stats":
        assert (seen.depth, seen.expired) == (0, 1)
    elif look == "repr":
        assert "0/1" in seen
    else:
        assert seen == {"depth": 0, "is_empty": True, "is_full": False, "get_many": []}[look]


@pytest.mark.parametrize("policy", [None, Drop(), Latest(), Coalesce(max)])
def test_an_expired_item_is_no_reason_to_refuse_drop_evict_or_merge(policy: Any) -> None:
    edge = make_edge(1, policy, ttl_s=TTL_S)
    edge.put(1)
    let_expire()
    assert edge.try_put(2) is PutResult.OK
    assert edge.stats().expired == 1
    assert edge.get() == 2


def test_a_get_that_waits_is_not_given_an_expired_item() -> None:
    edge = make_edge(ttl_s=TTL_S)
    edge.put("old")
    let_expire()
    call = waiting_get(edge)
    edge.put("new")
    assert call.outcome() == "new"
    assert expired_count(edge) == 1


def test_an_expiry_lets_a_waiting_putter_in_though_nobody_else_touches_the_edge() -> None:
    edge = make_edge(1, ttl_s=0.15)
    edge.put("old")
    call = Call(edge.put, "new", 8)
    assert call.outcome() is PutResult.OK
    assert edge.stats().expired >= 1


def test_many_waiting_putters_come_in_by_expiry_alone() -> None:
    edge = make_edge(2, ttl_s=TTL_S)
    edge.put_many("ab")
    calls = [Call(edge.put, number, 8) for number in range(6)]
    assert [call.outcome() for call in calls] == [PutResult.OK] * 6
    all_expired(edge)
    assert edge.stats().offered == edge.stats().expired == 8


def test_age_runs_from_the_put_that_waited() -> None:
    edge = make_edge(1, ttl_s=10)
    clock = stopped_clock(edge)
    edge.put("old")
    call = waiting_put(edge, "new")
    clock.advance(9)
    assert edge.get() == "old"
    assert call.outcome() is PutResult.OK
    clock.advance(2)
    assert edge.try_get() is None
    assert expired_count(edge) == 1


def test_a_put_with_a_timeout_shorter_than_the_expiry_times_out() -> None:
    edge = make_edge(1, ttl_s=3600)
    edge.put("old")
    with pytest.raises(TimeoutError):
        edge.put("new", timeout=0.02)
    assert edge.get() == "old"


def test_a_merge_makes_the_item_as_young_as_the_newcomer() -> None:
    merge = [Coalesce(lambda old, new: old + new, key=key) for key in (None, lambda payload: 0)]
    edges = [make_edge(1, policy, ttl_s=10) for policy in merge]
    clock = stopped_clock(*edges)
    for edge in edges:
        edge.put("a")
    clock.advance(9)
    assert [edge.put("b") for edge in edges] == [PutResult.COALESCED] * 2
    clock.advance(9)
    assert [edge.try_get() for edge in edges] == ["ab"] * 2


def test_a_keyed_edge_sweeps_the_old_out_of_the_middle() -> None:
    edge = make_edge(100, Coalesce(lambda old, new: new, key=lambda pair: pair[0]), ttl_s=10)
    clock = stopped_clock(edge)
    edge.put_many([(number, "old") for number in range(50)])
    young = range(0, 50, 3)
    clock.advance(9)
    for number in young:
        assert edge.put((number, "young")) is PutResult.COALESCED
    clock.advance(9)
    assert edge.depth() == len(young)
    assert edge.put((3, "younger")) is PutResult.COALESCED  # found although everything has moved
    assert edge.put((4, "back")) is PutResult.OK
    assert drained(edge) == [(number, "younger" if number == 3 else "young") for number in young] + [(4, "back")]
    assert expired_count(edge) == 50 - len(young)


def test_control_does_not_expire() -> None:
    edge = make_edge(ttl_s=TTL_S)
    edge.put(Message(MessageType.CONTROL, "stop"))
    edge.put("data")
    all_expired_after = expired_count(edge) + 1
    wait_until(lambda: expired_count(edge) == all_expired_after)
    assert edge.get().payload == "stop"
    assert edge.is_empty()


def test_errors_expire_as_data_does() -> None:
    edge = make_edge(ttl_s=TTL_S)
    edge.put(Message(MessageType.ERROR, "late"))
    let_expire()
    assert edge.try_get() is None


def test_what_expires_gives_its_bytes_back() -> None:
    edge = make_edge(ttl_s=TTL_S, max_bytes=10)
    edge.put("0123456789")
    let_expire()
    assert edge.try_put("0123456789") is PutResult.OK
    assert edge.stats().bytes == 10


def test_a_closed_edge_expires_what_it_holds() -> None:
    edge = make_edge(ttl_s=TTL_S)
    edge.put(1)
    edge.close()
    let_expire()
    with pytest.raises(Exception, match="closed"):
        edge.get()
    assert expired_count(edge) == 1


def test_the_finalizer_of_an_expired_item_may_use_the_edge() -> None:
    class Item:
        def __del__(self) -> None:
            again.append(edge.try_put("from the finalizer", Latest()))

    again: list[PutResult] = []
    edge: Edge = make_edge(1, ttl_s=TTL_S)
    edge.put(Item())
    let_expire()
    edge.depth()
    assert again == [PutResult.OK]
    assert_conserved(edge)


def test_a_putter_that_waits_behind_others_is_not_woken_for_nothing() -> None:
    edge = make_edge(1, ttl_s=3600)
    edge.put(1)
    used = time.process_time()
    calls = [waiting_put(edge, number, timeout=0.5) for number in range(4)]
    for call in calls:
        with pytest.raises(TimeoutError):
            call.outcome()
    assert time.process_time() - used < 0.4  # asleep, not polling
