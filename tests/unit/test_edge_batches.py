"""put_many and get_many: prefixes, order, one timeout for all."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from edges import DEADLINE_S, Call, drained, make_edge, wait_until, waiting_get

from graphflow import Coalesce, Drop, EdgeClosed, Latest, Message, MessageType, PortSpec, PutResult, SchemaError

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_put_many_of_nothing_is_nothing() -> None:
    edge = make_edge()
    assert edge.put_many([]) == 0
    assert edge.is_empty()


def test_put_many_takes_any_iterable() -> None:
    edge = make_edge()
    assert edge.put_many(number for number in range(5)) == 5
    assert edge.put_many({5: None, 6: None}) == 2
    assert drained(edge) == list(range(7))


def test_what_fits_is_accepted_when_the_time_is_up() -> None:
    for timeout in (0, 0.02):
        edge = make_edge(3)
        assert edge.put_many(range(10), timeout=timeout) == 3
        assert drained(edge) == [0, 1, 2]


def test_the_timeout_is_for_all_items_together() -> None:
    edge = make_edge(1)
    started = time.monotonic()
    call = Call(edge.put_many, range(100), 0.3)
    taken = []
    while not call.done():
        try:
            taken.append(edge.get(timeout=0.05))
        except TimeoutError:
            continue
        assert time.monotonic() - started < DEADLINE_S
        if len(taken) > 3:
            wait_until(call.done)
    assert call.outcome() == len(taken) + len(drained(edge))


def test_put_many_waits_for_room_and_keeps_the_order() -> None:
    edge = make_edge(2)
    call = Call(edge.put_many, range(500))
    assert [edge.get(timeout=DEADLINE_S) for _ in range(500)] == list(range(500))
    assert call.outcome() == 500


def test_a_wrong_item_raises_before_anything_is_put() -> None:
    edge = make_edge(spec=PortSpec("in", int))
    with pytest.raises(SchemaError):
        edge.put_many([1, 2, "three"])
    with pytest.raises(TypeError):
        edge.put_many([1, None])
    assert edge.stats().offered == 0


def test_what_an_iterator_gave_before_it_failed_is_in() -> None:
    def sour() -> Iterator[int]:
        yield 1
        raise ZeroDivisionError

    edge = make_edge()
    with pytest.raises(ZeroDivisionError):
        edge.put_many(sour())
    assert drained(edge) == [1]


def test_an_iterable_may_use_the_edge() -> None:
    edge = make_edge()
    edge.put_many([1, 2, 3])
    assert edge.put_many(edge.get() + 10 for _ in range(3)) == 3
    assert drained(edge) == [11, 12, 13]


def test_each_item_goes_by_the_edges_policy() -> None:
    dropping, latest, merging = make_edge(2, Drop()), make_edge(2, Latest()), make_edge(2, Coalesce(lambda a, b: a + b))
    assert [edge.put_many(range(5)) for edge in (dropping, latest, merging)] == [5, 5, 5]
    assert [drained(edge) for edge in (dropping, latest, merging)] == [[0, 1], [3, 4], [0, 10]]


def test_control_among_the_items_goes_to_the_lane() -> None:
    edge = make_edge(2)
    message = Message(MessageType.CONTROL, None)
    assert edge.put_many([1, message, 2, 3], timeout=0) == 3
    assert drained(edge) == [message, 1, 2]


def test_close_in_the_middle_tells_how_many_went_in() -> None:
    edge = make_edge(2)
    call = Call(edge.put_many, range(10))
    wait_until(lambda: edge.stats().blocked)
    edge.close()
    assert call.outcome() == 2
    with pytest.raises(EdgeClosed):
        edge.put_many([1])
    assert drained(edge) == [0, 1]


def test_get_many_takes_what_is_there_and_no_more_than_asked() -> None:
    edge = make_edge(10)
    edge.put_many(range(7))
    assert edge.get_many(3) == [0, 1, 2]
    assert edge.get_many(2**62) == [3, 4, 5, 6]
    assert edge.get_many(3) == []
    assert edge.stats().delivered == 7


def test_get_many_waits_for_the_first_only() -> None:
    edge = make_edge()
    call = Call(edge.get_many, 10, DEADLINE_S)
    edge.put(1)
    items = call.outcome()
    assert items == [1]


def test_get_many_gives_an_empty_list_when_the_time_is_up() -> None:
    started = time.monotonic()
    assert make_edge().get_many(3, timeout=0.05) == []
    assert time.monotonic() - started >= 0.049


def test_get_many_takes_control_first() -> None:
    edge = make_edge()
    message = Message(MessageType.CONTROL, None)
    edge.put_many([1, 2, message])
    assert edge.get_many(2) == [message, 1]
    assert edge.get_many(2) == [2]


def test_get_many_lets_waiting_putters_in() -> None:
    edge = make_edge(2)
    calls = [Call(edge.put, number) for number in range(6)]
    wait_until(lambda: edge.stats().blocked == 4)
    taken: list[int] = []
    while len(taken) < 6:
        taken += edge.get_many(4, timeout=DEADLINE_S)
    assert sorted(taken) == list(range(6))
    assert [call.outcome() for call in calls] == [PutResult.OK] * 6


def test_get_many_is_released_by_close() -> None:
    edge = make_edge()
    call = Call(edge.get_many, 3, None)
    other = waiting_get(edge)
    edge.close()
    assert call.was_closed()
    assert other.was_closed()
