"""Byte bounds, time to live and conflation by key while many threads put and take: they hold whenever anybody looks."""

from __future__ import annotations

import itertools
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from counting import unaccounted
from graphs import DEADLINE_S, Collect, Map, assert_graph_conserved, chain, scheduler_of

from graphflow import Coalesce, Edge, EdgeClosed, drop, latest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

PUTTERS = 4
EACH = 400


def put_from_threads(put: Callable[[Any], object], items: Callable[[int], Iterable[Any]]) -> list[threading.Thread]:
    def run(name: int) -> None:
        for item in items(name):
            put(item)

    threads = [threading.Thread(target=run, args=(name,)) for name in range(PUTTERS)]
    for thread in threads:
        thread.start()
    return threads


def watch(
    edge: Edge[Any], holds: Callable[[Any], bool], threads: list[threading.Thread], looked: threading.Event
) -> None:
    """Look at the counts until the threads are done; `looked` is set when that has been often enough."""
    looks = 0
    while any(thread.is_alive() for thread in threads):
        stats = edge.stats()
        assert holds(stats), stats
        assert unaccounted(stats) == 0, stats
        looks += 1
        if looks > 10:
            looked.set()
        time.sleep(0)


@pytest.mark.parametrize("policy", [None, drop(), latest()])
def test_an_edge_never_holds_more_bytes_or_items_than_it_may(policy: Any, fast_switching: None) -> None:
    edge: Edge[bytes] = Edge("a", "out", "b", "in", capacity=8, max_bytes=100, default_policy=policy)
    taken: list[bytes] = []

    def take() -> None:
        try:
            while True:
                taken.append(edge.get(DEADLINE_S))
        except EdgeClosed:
            return

    takers = [threading.Thread(target=take) for _ in range(2)]
    for taker in takers:
        taker.start()
    each = EACH if policy is None else 50 * EACH  # these do not wait for room
    looked = threading.Event()

    def items(name: int) -> Iterator[bytes]:
        """Until somebody has looked: without the GIL there is no switch interval that lets the watcher in between."""
        for number in itertools.count():
            if number >= each and looked.is_set():
                return
            yield bytes(number % 60)

    threads = put_from_threads(lambda item: edge.put(item, DEADLINE_S), items)
    watch(edge, lambda stats: stats.bytes <= 100 and stats.depth <= 8 and stats.peak_depth <= 8, threads, looked)
    edge.close()
    for taker in takers:
        taker.join(DEADLINE_S)
    assert looked.is_set()
    stats = edge.stats()
    assert (stats.bytes, stats.depth) == (0, 0)
    assert len(taken) == stats.delivered
    if policy is None:
        assert stats.delivered == stats.offered >= PUTTERS * EACH


def test_what_has_expired_is_counted_makes_room_and_is_never_delivered(fast_switching: None) -> None:
    ttl_s = 0.02
    edge: Edge[float] = Edge("a", "out", "b", "in", capacity=4, ttl_s=ttl_s)
    ages: list[float] = []
    threads = put_from_threads(lambda _: edge.put(time.monotonic(), DEADLINE_S), lambda name: [None] * 40)
    while any(thread.is_alive() for thread in threads):  # a reader that is too slow: the rest must expire
        before = time.monotonic()
        item = edge.try_get()
        if item is not None:
            ages.append(before - item)
        assert edge.depth() <= 4
        time.sleep(ttl_s / 2)
    stats = edge.stats()
    assert stats.expired > 0
    assert stats.offered == PUTTERS * 40 == stats.delivered + stats.expired + stats.depth
    # Seen before the take, an age is at most the time to live (and a putter may have waited for room before it).
    assert len(ages) == stats.delivered
    time.sleep(2 * ttl_s)
    assert edge.try_get() is None


def test_conflation_keeps_one_item_a_key_in_first_in_order(fast_switching: None) -> None:
    keys = 5
    edge: Edge[tuple[int, int]] = Edge(
        "a", "out", "b", "in", capacity=keys, default_policy=Coalesce(max, key=lambda item: item[0])
    )
    threads = put_from_threads(
        lambda item: edge.put(item, DEADLINE_S), lambda name: [(number % keys, number) for number in range(EACH)]
    )
    seen: dict[int, int] = {}
    while any(thread.is_alive() for thread in threads):
        batch = edge.get_many(keys)
        assert edge.depth() <= keys
        for key, number in batch:
            seen[key] = max(number, seen.get(key, -1))
    while (item := edge.try_get()) is not None:
        seen[item[0]] = max(item[1], seen.get(item[0], -1))
    assert seen == {key: EACH - keys + key for key in range(keys)}  # the greatest of each came through
    stats = edge.stats()
    assert stats.offered == PUTTERS * EACH == stats.delivered + stats.coalesced
    for number in range(3 * keys):
        edge.put((number % keys, number))
    assert [edge.try_get() for _ in range(keys)] == [(key, 2 * keys + key) for key in range(keys)]
    assert edge.try_get() is None


@pytest.mark.parametrize("workers", [1, 4])
def test_the_bounds_hold_inside_a_running_graph(workers: int, fast_switching: None) -> None:
    last = Collect()
    graph = chain(Map("first"), last, capacity=8, max_bytes=100, sizeof=len)
    graph.expose_input("in", "first:in", capacity=8, max_bytes=100)
    edges = list(graph.edges)
    with scheduler_of(graph, workers=workers) as scheduler:
        inlet = scheduler.input("in")
        threads = put_from_threads(
            lambda item: inlet.put(item, DEADLINE_S), lambda name: [bytes(number % 60) for number in range(EACH)]
        )
        while any(thread.is_alive() for thread in threads):
            for edge in edges:
                stats = edge.stats()
                assert stats.bytes <= 100, stats
                assert stats.depth <= 8, stats
        last.expect(PUTTERS * EACH)
    assert_graph_conserved(graph)
