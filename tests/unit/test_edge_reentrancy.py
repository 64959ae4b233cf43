"""Finalizers and callbacks that use the very edge that runs them: no deadlock, and every item counted."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING, Any

import pytest
from counting import assert_conserved
from edges import drained, make_edge, wait_until, waiting_get, waiting_put

from graphflow import Coalesce, Drop, Edge, Latest, Policy, PutResult

if TYPE_CHECKING:
    from collections.abc import Callable


class Item:
    """Uses an edge when it is finalized. Equal to nothing, mergeable with everything."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.act = act

    def __del__(self) -> None:
        self.act()

    def __add__(self, other: object) -> object:
        return other

    def __len__(self) -> int:
        return 1


def acts(edge: Edge, done: list[object]) -> dict[str, Callable[[], object]]:
    """What a finalizer may do to the edge; each notes that it came to its end."""

    def all_of_it() -> None:
        edge.try_put("again", Latest() if not isinstance(edge.default_policy, Coalesce) else None)
        edge.try_get()
        edge.stats()
        edge.depth()
        edge.get_many(2)
        edge.put_many(["x", "y"], timeout=0)
        edge.set_capacity(edge.capacity + 1)

    def wrapped(act: Callable[[], object]) -> Callable[[], object]:
        return lambda: done.append(act())

    return {
        "put": wrapped(lambda: edge.try_put("again")),
        "get": wrapped(edge.try_get),
        "stats": wrapped(edge.stats),
        "close": wrapped(edge.close),
        "everything": wrapped(all_of_it),
        "collect": wrapped(gc.collect),
    }


ACTS = ["put", "get", "stats", "close", "everything", "collect"]


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize(
    ("capacity", "bounds"), [(1, {}), (2, {}), (2, {"ttl_s": 3600}), (5, {"max_bytes": 5, "sizeof": lambda item: 1})]
)
def test_an_evicted_item_may_use_the_edge(capacity: int, bounds: dict[str, Any], act: str) -> None:
    done: list[object] = []
    edge = make_edge(capacity, Latest(), **bounds)
    for _ in range(capacity):
        edge.put(Item(acts(edge, done)[act]))
    for _ in range(3):
        if not edge.closed:
            edge.put("newer")
    assert done
    assert_conserved(edge)


def test_several_items_evicted_at_once_may_use_the_edge() -> None:
    done: list[object] = []
    edge = make_edge(100, Latest(), max_bytes=10)
    for _ in range(10):
        edge.put(Item(acts(edge, done)["everything"]))
    edge.put("0123456789")
    assert len(done) == 10
    assert_conserved(edge)


@pytest.mark.parametrize("act", ACTS)
def test_a_dropped_newcomer_may_use_the_edge(act: str) -> None:
    done: list[object] = []
    edge = make_edge(1, Drop())
    edge.put("kept")
    assert edge.put(Item(acts(edge, done)[act])) is PutResult.DROPPED
    gc.collect()
    assert len(done) == 1
    assert_conserved(edge)


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("key", [None, lambda payload: 1])
def test_a_merged_item_may_use_the_edge(key: Any, act: str) -> None:
    done: list[object] = []
    edge = make_edge(1, Coalesce(lambda old, new: "merged", key=key))
    edge.put(Item(acts(edge, done)[act]))
    assert edge.put(Item(acts(edge, done)[act])) is PutResult.COALESCED
    assert len(done) == 2
    assert_conserved(edge)


@pytest.mark.parametrize("act", ACTS)
def test_a_taken_item_may_use_the_edge(act: str) -> None:
    done: list[object] = []
    edge = make_edge(3)
    edge.put_many([Item(acts(edge, done)[act]), "b", "c"])
    assert edge.try_get() is not None
    gc.collect()
    assert len(done) == 1
    assert_conserved(edge)


def test_an_item_that_is_put_back_by_its_finalizer_again_and_again_ends() -> None:
    count = [0]
    edge: Edge = make_edge(1, Latest())

    def again() -> None:
        count[0] += 1
        if count[0] < 200:
            edge.put(Item(again))

    edge.put(Item(again))
    edge.put("last")
    wait_until(lambda: count[0] >= 1)
    assert_conserved(edge)


def test_a_finalizer_may_put_what_another_thread_waits_for() -> None:
    done: list[object] = []
    edge, other = make_edge(1, Latest()), make_edge()
    call = waiting_get(other)
    edge.put(Item(lambda: done.append(other.try_put("from the finalizer"))))
    edge.put("newer")
    assert call.outcome() == "from the finalizer"


@pytest.mark.parametrize("policy", [None, Drop(), Latest(), Coalesce(lambda old, new: new)])
def test_a_finalizer_that_fails_does_no_harm(policy: Policy | None) -> None:
    def fail() -> None:
        failures.append(1)
        raise ZeroDivisionError

    failures: list[int] = []
    hook, sys.unraisablehook = sys.unraisablehook, lambda unraisable: None
    try:
        edge = make_edge(1, policy)
        edge.put(Item(fail))
        edge.try_put(Item(fail))
        drained(edge)
        gc.collect()
    finally:
        sys.unraisablehook = hook
    assert len(failures) == 2
    assert edge.is_empty()


@pytest.mark.untraced
def test_a_collection_in_the_middle_of_anything_does_no_harm() -> None:
    thresholds = gc.get_threshold()
    edge = make_edge(4, Latest(), ttl_s=3600)
    keyed = make_edge(4, Coalesce(lambda old, new: new, key=lambda payload: 1))
    used: list[int] = []

    def use() -> None:
        if len(used) < 2000:
            used.append(1)
            edge.try_put("garbage")
            edge.try_get()
            keyed.try_put("garbage")

    gc.set_threshold(1)
    try:
        for number in range(500):
            ring: list[object] = [number]
            ring.append(Item(use))
            ring.append(ring)
            edge.put(ring)
            keyed.put(ring)
    finally:
        gc.set_threshold(*thresholds)
    assert len(used) > 100
    used += [1] * 2000
    for each in (edge, keyed):
        assert_conserved(each)
        drained(each)
    gc.collect()


def test_sizeof_may_use_the_edge() -> None:
    def sizeof(payload: int) -> int:
        if payload == 1:
            edge.try_put(0)
            edge.try_get()
        return 1

    edge: Edge = make_edge(1, Latest(), max_bytes=2, sizeof=sizeof)
    for _ in range(5):
        edge.put(1)
    assert drained(edge) == [1]


@pytest.mark.untraced
def test_a_waiting_puts_item_is_released_when_the_put_gives_up() -> None:
    done: list[object] = []
    edge = make_edge(1)
    edge.put("full")
    for _ in range(3):
        with pytest.raises(TimeoutError):
            edge.put(Item(lambda: done.append(edge.stats())), timeout=0.001)
    gc.collect()
    assert len(done) == 3
    call = waiting_put(edge, Item(lambda: done.append(edge.closed)))
    edge.close()
    assert call.was_closed()
    del call
    gc.collect()
    assert done.pop() is True
