"""Messages: what they hold, that nothing changes them, and how they share a trace id."""

from __future__ import annotations

import copy
import gc
import pickle
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import pytest

from graphflow import Message, MessageType

DATA = MessageType.DATA


# -- what a message holds ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(MessageType))
def test_a_message_is_of_exactly_the_type_it_was_given(kind: MessageType) -> None:
    message = Message(kind, 1)
    assert message.type is kind
    assert (message.is_data(), message.is_control(), message.is_error()) == (
        kind is DATA,
        kind is MessageType.CONTROL,
        kind is MessageType.ERROR,
    )


def test_a_payload_is_kept_as_it_is() -> None:
    payload: list[int] = []
    assert Message(DATA, payload).payload is payload


@pytest.mark.parametrize("kind", ["DATA", "data", 0, None])
def test_a_type_that_is_no_message_type_is_refused(kind: Any) -> None:
    with pytest.raises(TypeError, match="MessageType"):
        Message(kind, 1)


def test_repr_is_short() -> None:
    message = Message(DATA, 42)
    assert repr(message) == "Message(DATA, 42)"
    assert len(repr(Message(DATA, "x" * 10_000))) < 100


def test_messages_compare_by_identity() -> None:
    message = Message(DATA, 1)
    assert message == message
    assert message != Message(DATA, 1)


def test_the_timestamp_is_the_time_of_construction() -> None:
    before = time.time()
    message = Message(DATA, 1)
    after = time.time()
    # The coarse clock steps once a tick of the kernel, 10 ms at most.
    assert before - 0.05 <= message.get_timestamp() <= after + 0.05
    assert message.headers["timestamp"] == message.get_timestamp()


def test_a_given_timestamp_is_kept() -> None:
    message = Message(DATA, 1, headers={"timestamp": 12})
    assert message.get_timestamp() == message.headers["timestamp"] == 12.0
    assert message.with_payload(2).get_timestamp() == 12.0
    assert message.with_headers(timestamp=13.5).get_timestamp() == 13.5


def test_metadata_is_none_or_a_read_only_copy() -> None:
    given = {"file": "a.csv"}
    message = Message(DATA, 1, given)
    given["file"] = "b.csv"
    assert isinstance(message.metadata, MappingProxyType)
    assert message.metadata == {"file": "a.csv"}
    assert Message(DATA, 1).metadata is None


# -- headers -------------------------------------------------------------------------------------


def test_headers_are_a_mapping_of_what_was_given_and_the_two_standard_ones() -> None:
    headers = Message(DATA, 1, headers={"shard": 3, "timestamp": 1.5, "trace_id": "t"}).headers
    assert isinstance(headers, Mapping)
    assert dict(headers) == {"trace_id": "t", "timestamp": 1.5, "shard": 3}
    assert list(headers) == list(headers.keys()) == ["trace_id", "timestamp", "shard"]
    assert list(headers.values()) == ["t", 1.5, 3]
    assert list(headers.items()) == [("trace_id", "t"), ("timestamp", 1.5), ("shard", 3)]
    assert len(headers) == 3
    assert headers == {"trace_id": "t", "timestamp": 1.5, "shard": 3}
    assert headers != {"trace_id": "t"}
    assert "shard" in headers
    assert "other" not in headers
    assert headers.get("shard") == 3
    assert headers.get("other", 7) == 7
    with pytest.raises(KeyError, match="other"):
        headers["other"]


def test_headers_without_any_given_hold_the_two_standard_ones() -> None:
    headers = Message(DATA, 1).headers
    assert list(headers) == ["trace_id", "timestamp"]
    assert len(headers) == 2
    assert "trace_id" in headers
    assert "shard" not in headers
    with pytest.raises(KeyError):
        headers["shard"]


def test_with_headers_goes_over_the_old_ones() -> None:
    message = Message(DATA, 1, {"m": 1}, {"a": 1, "b": 2}).with_headers(b=3, c=4)
    assert {name: message.headers[name] for name in "abc"} == {"a": 1, "b": 3, "c": 4}
    assert (message.payload, message.metadata) == (1, {"m": 1})


def test_with_payload_changes_the_payload_only() -> None:
    message = Message(MessageType.CONTROL, 1, {"m": 1}, {"a": 1})
    other = message.with_payload(2)
    assert (message.payload, other.payload) == (1, 2)
    assert other.is_control()
    assert other.metadata == message.metadata
    assert other.headers is message.headers


@pytest.mark.parametrize(
    ("headers", "error", "named"),
    [
        ({1: "a"}, TypeError, "str keys"),
        ([("a", 1)], TypeError, "mapping"),
        ({"trace_id": 5}, TypeError, "trace_id"),
        ({"trace_id": None}, TypeError, "trace_id"),
        ({"trace_id": ""}, ValueError, "trace_id"),
        ({"timestamp": "now"}, TypeError, "timestamp"),
        ({"timestamp": True}, TypeError, "timestamp"),
        ({"timestamp": float("nan")}, ValueError, "timestamp"),
        ({"timestamp": float("inf")}, ValueError, "timestamp"),
    ],
)
def test_bad_headers_are_refused_by_name(headers: Any, error: type[Exception], named: str) -> None:
    with pytest.raises(error, match=named):
        Message(DATA, 1, headers=headers)


def test_bad_metadata_is_refused() -> None:
    with pytest.raises(TypeError, match="metadata"):
        Message(DATA, 1, metadata=[1])  # type: ignore[arg-type]


# -- nothing changes a message -------------------------------------------------------------------


@pytest.mark.parametrize("name", ["type", "payload", "metadata", "headers", "anything"])
def test_attributes_cannot_be_set_or_deleted(name: str) -> None:
    message = Message(DATA, 1)
    with pytest.raises(AttributeError):
        setattr(message, name, 2)
    with pytest.raises(AttributeError):
        delattr(message, name)
    assert message.payload == 1


def test_headers_cannot_be_changed_in_place() -> None:
    message = Message(DATA, 1, headers={"a": 1})
    headers: Any = message.headers
    with pytest.raises(TypeError):
        headers["a"] = 2
    with pytest.raises(TypeError):
        del headers["a"]
    with pytest.raises(AttributeError):
        headers.update(a=2)
    with pytest.raises(TypeError):
        headers.__init__({"a": 2})
    with pytest.raises(AttributeError):
        headers.stamp = 2.0
    assert message.headers["a"] == 1


def test_the_callers_headers_dict_is_copied() -> None:
    given = {"a": 1}
    message = Message(DATA, 1, headers=given)
    given["a"] = 2
    assert message.headers["a"] == 1
    assert list(given) == ["a"]


def test_calling_init_again_changes_nothing() -> None:
    message = Message(DATA, 1, {"m": 1}, {"trace_id": "t"})
    message.__init__(MessageType.ERROR, 2, None, {"trace_id": "u"})
    assert message.is_data()
    assert (message.payload, message.metadata, message.get_trace_id()) == (1, {"m": 1}, "t")


def test_with_methods_leave_the_original_alone() -> None:
    message = Message(DATA, 1, headers={"a": 1})
    message.with_headers(a=2, trace_id="other")
    message.with_payload(2)
    assert message.payload == 1
    assert message.headers["a"] == 1
    assert message.get_trace_id() != "other"


# -- copies --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "duplicate",
    [lambda m: pickle.loads(pickle.dumps(m)), copy.deepcopy],
    ids=["pickle", "deepcopy"],
)
def test_a_copy_has_equal_content(duplicate: Callable[[Message], Message]) -> None:
    message = Message(MessageType.ERROR, [1], {"m": 1}, {"a": 1})
    twin = duplicate(message)
    assert twin is not message
    assert twin.payload is not message.payload
    assert (twin.type, twin.payload, twin.metadata) == (MessageType.ERROR, [1], {"m": 1})
    assert twin.headers == message.headers


def test_a_shallow_copy_is_the_message_itself() -> None:
    message = Message(DATA, 1)
    assert copy.copy(message) is message
    assert copy.copy(message.headers) is message.headers


def test_headers_can_be_pickled() -> None:
    headers = Message(DATA, 1, headers={"a": 1}).headers
    assert pickle.loads(pickle.dumps(headers)) == headers


# -- memory --------------------------------------------------------------------------------------


def test_a_message_in_a_cycle_is_collected() -> None:
    class Payload:
        message: Message

    payload = Payload()
    payload.message = Message(DATA, payload)
    gone = weakref.ref(payload)
    del payload
    gc.collect()
    assert gone() is None


def test_descendants_keep_no_earlier_payload_alive() -> None:
    class Payload:
        pass

    payload = Payload()
    gone = weakref.ref(payload)
    message = Message(DATA, payload).with_headers(a=1)
    message = message.with_payload(1).with_headers(a=2)
    del payload
    assert gone() is None


CHAIN = """
import threading
from graphflow import Message, MessageType

def chain():
    message = None
    for _ in range(200_000):
        message = Message(MessageType.DATA, message)

threading.stack_size(1 << 20)
thread = threading.Thread(target=chain)
thread.start()
thread.join()
"""


def test_a_long_chain_of_messages_in_messages_is_freed_without_overflow() -> None:
    # In a process of its own: an overflow of the stack would take the tests with it.
    done = subprocess.run([sys.executable, "-c", CHAIN], capture_output=True, timeout=60)
    assert done.returncode == 0
