"""The control lane: CONTROL overtakes the data, and nothing of the data's rules holds for it."""

from __future__ import annotations

from typing import Any

import pytest
from edges import Call, drained, make_edge, waiting_get, waiting_put

from graphflow import Coalesce, Drop, EdgeClosed, Latest, Message, MessageType, PortSpec, PutResult, SchemaError


def control(payload: Any = None) -> Message:
    return Message(MessageType.CONTROL, payload)


def payloads(items: list[Any]) -> list[Any]:
    return [item.payload if isinstance(item, Message) else item for item in items]


def test_control_overtakes_the_data_and_keeps_its_own_order() -> None:
    edge = make_edge(10)
    edge.put_many([1, control("a"), 2, control("b"), 3, control("c")])
    assert payloads(drained(edge)) == ["a", "b", "c", 1, 2, 3]


@pytest.mark.parametrize("policy", [None, Drop(), Latest(), Coalesce(lambda old, new: new)])
def test_a_full_lane_blocks_whatever_the_policy(policy: Any) -> None:
    edge = make_edge(1, policy, control_capacity=3)
    edge.put("data")
    messages = [control(number) for number in range(4)]
    assert [edge.try_put(message) for message in messages] == [PutResult.OK] * 3 + [PutResult.BLOCKED]
    assert edge.try_put(messages[3], Latest()) is PutResult.BLOCKED
    assert [edge.get() for _ in range(3)] == messages[:3]
    assert edge.stats().dropped == edge.stats().replaced == edge.stats().coalesced == 0


@pytest.mark.parametrize("capacity", [1, 2, 3, 64, 65])
def test_the_lane_has_a_capacity_of_its_own(capacity: int) -> None:
    edge = make_edge(2, control_capacity=capacity)
    edge.put_many([1, 2])
    for number in range(capacity):
        assert edge.try_put(control(number)) is PutResult.OK
    assert edge.try_put(control()) is PutResult.BLOCKED
    counts = edge.stats()
    assert (counts.depth, counts.control_depth) == (2 + capacity, capacity)
    assert payloads(drained(edge)) == [*range(capacity), 1, 2]


def test_control_takes_no_room_from_the_data() -> None:
    edge = make_edge(1)
    edge.put(control())
    assert not edge.is_full()
    assert not edge.is_empty()
    assert edge.try_put("data") is PutResult.OK
    assert edge.is_full()
    drained(edge)


def test_control_is_not_held_to_the_schema_and_errors_are_not_either() -> None:
    edge = make_edge(spec=PortSpec("in", int))
    edge.put(control("text"))
    edge.put(Message(MessageType.ERROR, "text"))
    with pytest.raises(SchemaError):
        edge.put(Message(MessageType.DATA, "text"))
    assert payloads(drained(edge)) == ["text", "text"]


def test_an_error_does_not_overtake() -> None:
    edge = make_edge()
    edge.put_many([1, Message(MessageType.ERROR, "e"), 2])
    assert payloads(drained(edge)) == [1, "e", 2]


def test_an_error_is_dropped_and_evicted_as_data_is() -> None:
    edge = make_edge(1)
    edge.put(Message(MessageType.ERROR, 1))
    assert edge.try_put(Message(MessageType.ERROR, 2), Drop()) is PutResult.DROPPED
    assert edge.try_put(3, Latest()) is PutResult.REPLACED
    assert drained(edge) == [3]


def test_sizeof_key_and_merge_never_see_control() -> None:
    def never(*arguments: object) -> Any:
        raise AssertionError(arguments)

    edge = make_edge(1, Coalesce(never, key=never), max_bytes=1, sizeof=never, control_capacity=2)
    edge.put_many([control(1), control(2)])
    assert edge.try_put(control(3)) is PutResult.BLOCKED
    assert payloads(drained(edge)) == [1, 2]


def test_a_waiting_putter_of_control_gets_the_lanes_room_not_the_datas() -> None:
    edge = make_edge(1, control_capacity=1)
    edge.put_many(["data", control("a")])
    call = waiting_put(edge, control("b"))
    data = waiting_put(edge, "more data")
    assert edge.get().payload == "a"
    assert call.outcome() is PutResult.OK
    assert not data.done()
    assert edge.get().payload == "b"
    assert edge.get() == "data"
    assert data.outcome() is PutResult.OK
    assert edge.get() == "more data"


def test_waiting_putters_of_control_are_served_in_order_and_not_overtaken() -> None:
    edge = make_edge(1, control_capacity=1)
    edge.put(control(0))
    calls = [waiting_put(edge, control(number)) for number in (1, 2, 3)]
    taken = []
    for _ in range(4):
        assert edge.try_put(control("newcomer")) is PutResult.BLOCKED
        taken.append(edge.get().payload)
    assert taken == [0, 1, 2, 3]
    assert [call.outcome() for call in calls] == [PutResult.OK] * 3


def test_a_putter_of_control_that_gives_up_is_not_in_the_lane() -> None:
    edge = make_edge(1, control_capacity=1)
    edge.put(control(0))
    first = waiting_put(edge, control(1), timeout=0.2)
    second = waiting_put(edge, control(2))
    with pytest.raises(TimeoutError):
        first.outcome()
    assert edge.get().payload == 0
    assert second.outcome() is PutResult.OK
    assert edge.get().payload == 2
    assert edge.is_empty()


def test_control_wakes_a_waiting_get() -> None:
    edge = make_edge()
    call = waiting_get(edge)
    edge.put(control("now"))
    assert call.outcome().payload == "now"


def test_close_releases_putters_of_control_and_leaves_the_lane_takeable() -> None:
    edge = make_edge(control_capacity=1)
    edge.put_many([1, control("a")])
    call = waiting_put(edge, control("b"))
    edge.close()
    assert call.was_closed()
    with pytest.raises(EdgeClosed):
        edge.put(control("c"))
    assert payloads(drained(edge)) == ["a", 1]
    with pytest.raises(EdgeClosed):
        edge.get()


def test_many_putters_of_control_and_data_each_keep_their_order(fast_switching: None) -> None:
    edge = make_edge(2, control_capacity=2)
    count = 300
    data = Call(lambda: [edge.put(number) for number in range(count)])
    lane = Call(lambda: [edge.put(control(number)) for number in range(count)])
    taken = [edge.get(timeout=10) for _ in range(2 * count)]
    data.outcome()
    lane.outcome()
    assert [item for item in taken if not isinstance(item, Message)] == list(range(count))
    assert [item.payload for item in taken if isinstance(item, Message)] == list(range(count))
