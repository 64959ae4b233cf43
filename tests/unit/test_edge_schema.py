"""What a port's schema refuses never enters, and a refusal changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
from edges import drained, make_edge, waiting_get

from graphflow import Latest, Message, MessageType, PortSpec, SchemaError

INT = PortSpec("in", int)


@pytest.mark.parametrize("wrap", [False, True])
@pytest.mark.parametrize("call", ["put", "try_put", "put_many"])
def test_a_mismatch_is_a_schema_error_and_a_type_error_and_changes_nothing(call: str, wrap: bool) -> None:
    edge = make_edge(1, Latest(), spec=INT)
    edge.put(1)
    item: Any = Message(MessageType.DATA, "text") if wrap else "text"
    with pytest.raises(SchemaError, match=r"a:out->b:in.*str.*int") as caught:
        getattr(edge, call)([item] if call == "put_many" else item)
    assert isinstance(caught.value, TypeError)
    assert edge.stats().offered == 1
    assert drained(edge) == [1]


def test_what_matches_goes_in() -> None:
    edge = make_edge(spec=INT)
    edge.put(1)
    edge.put(Message(MessageType.DATA, 2))
    edge.put(True)  # an instance of int
    assert len(drained(edge)) == 3


def test_none_may_match_as_a_payload_only() -> None:
    edge = make_edge(spec=PortSpec("in", int | None))
    edge.put(Message(MessageType.DATA, None))
    with pytest.raises(TypeError, match="None"):
        edge.put(None)
    assert edge.depth() == 1


def test_a_mismatch_wakes_no_getter() -> None:
    edge = make_edge(spec=INT)
    call = waiting_get(edge)
    with pytest.raises(SchemaError):
        edge.put("text")
    assert not call.done()
    edge.put(1)
    assert call.outcome() == 1


class Unprintable:
    def __repr__(self) -> str:
        raise ZeroDivisionError


def test_a_payload_that_cannot_be_printed_is_still_refused_with_a_schema_error() -> None:
    edge = make_edge(spec=INT)
    with pytest.raises(SchemaError):
        edge.put(Unprintable())
    assert edge.stats().offered == 0


def test_the_message_of_a_mismatch_stays_short() -> None:
    edge = make_edge(spec=INT)
    with pytest.raises(SchemaError) as caught:
        edge.put("x" * 1_000_000)
    assert len(str(caught.value)) < 500


class Hostile:
    """Raises from whatever a queue has no business to do with an item."""

    def _fail(self, *arguments: object) -> Any:
        raise AssertionError("the edge must not touch its items")

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __bool__ = __len__ = __iter__ = _fail
    __repr__ = __str__ = __hash__ = __getattr__ = __contains__ = __getitem__ = __call__ = _fail


@pytest.mark.parametrize("bounds", [{}, {"ttl_s": 3600}, {"spec": PortSpec("in", Hostile)}])
def test_an_item_is_never_compared_hashed_printed_or_tested(bounds: dict[str, Any]) -> None:
    edge = make_edge(2, **bounds)
    items = [Hostile() for _ in range(3)]
    for item in items:
        edge.try_put(item, Latest())
    assert [id(item) for item in drained(edge)] == [id(item) for item in items[1:]]
    call = waiting_get(edge)
    edge.put(items[0])
    assert call.outcome() is items[0]
