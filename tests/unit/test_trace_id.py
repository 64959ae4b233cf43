"""Trace ids: made when first read, one for a whole family, unique across threads and forks."""

from __future__ import annotations

import random
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from graphflow import Message, MessageType
from graphflow.core.messages.trace_id import set_id_source

DATA = MessageType.DATA


class CountedIds:
    """An id source that tells how many ids were made."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self) -> int:
        self.made += 1
        return self.made


@pytest.fixture
def ids() -> Iterator[CountedIds]:
    source = CountedIds()
    set_id_source(source)
    yield source
    set_id_source(None)


def family(parent: Message) -> dict[str, Message]:
    """One child of each kind."""
    return {
        "with_payload": parent.with_payload("new"),
        "with_headers": parent.with_headers(shard=3),
        "grandchild": parent.with_headers(a=1).with_payload("x").with_headers(b=2),
        "built from headers": Message(DATA, "new", headers=parent.headers),
    }


KINDS = sorted(family(Message(DATA, None)))


def test_an_id_is_32_lowercase_hex_digits() -> None:
    assert re.fullmatch("[0-9a-f]{32}", Message(DATA, 1).get_trace_id())


def test_no_id_is_made_until_one_is_read(ids: CountedIds) -> None:
    message = Message(DATA, 1, {"m": 1}, {"a": 1})
    family(message)
    headers = message.headers
    assert "trace_id" in headers
    assert len(headers) == 3
    assert list(headers) == ["trace_id", "timestamp", "a"]
    assert headers["a"] == 1
    assert "timestamp" in repr(headers)
    message.get_timestamp()
    assert ids.made == 0
    message.get_trace_id()
    assert ids.made == 1


def test_an_id_stays_what_it_was_when_first_read(ids: CountedIds) -> None:
    message = Message(DATA, 1)
    assert message.get_trace_id() == message.headers["trace_id"] == message.get_trace_id()
    assert ids.made == 1


@pytest.mark.parametrize("kind", KINDS)
def test_parent_and_child_agree_when_the_parent_is_read_first(kind: str) -> None:
    parent = Message(DATA, 1)
    child = family(parent)[kind]
    assert parent.get_trace_id() == child.get_trace_id()


@pytest.mark.parametrize("kind", KINDS)
def test_parent_and_child_agree_when_the_child_is_read_first(kind: str) -> None:
    parent = Message(DATA, 1)
    child = family(parent)[kind]
    assert child.get_trace_id() == parent.get_trace_id()


@pytest.mark.parametrize("first", KINDS)
def test_siblings_agree_whoever_is_read_first(first: str, ids: CountedIds) -> None:
    children = family(Message(DATA, 1))
    trace = children[first].get_trace_id()
    assert {child.headers["trace_id"] for child in children.values()} == {trace}
    assert ids.made == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_given_id_is_kept_and_handed_on(kind: str, ids: CountedIds) -> None:
    parent = Message(DATA, 1, headers={"trace_id": "mine"})
    assert family(parent)[kind].get_trace_id() == parent.get_trace_id() == "mine"
    assert ids.made == 0


def test_a_child_given_an_id_of_its_own_leaves_its_parent(ids: CountedIds) -> None:
    parent = Message(DATA, 1)
    child = parent.with_headers(trace_id="mine")
    grandchild = child.with_headers(a=1)
    assert child.get_trace_id() == grandchild.get_trace_id() == "mine"
    assert parent.get_trace_id() == f"{1:032x}"


def test_unrelated_messages_have_different_ids() -> None:
    assert Message(DATA, 1).get_trace_id() != Message(DATA, 1).get_trace_id()


def test_seeding_the_users_random_does_not_repeat_ids() -> None:
    random.seed(1)
    first = Message(DATA, 1).get_trace_id()
    random.seed(1)
    assert Message(DATA, 1).get_trace_id() != first


def test_ids_are_unique_across_threads() -> None:
    def read(_: int) -> list[str]:
        return [Message(DATA, 1).get_trace_id() for _ in range(2_000)]

    with ThreadPoolExecutor(4) as pool:
        found = [trace for traces in pool.map(read, range(8)) for trace in traces]
    assert len(set(found)) == len(found) == 16_000


def test_two_threads_that_both_make_the_first_id_agree() -> None:
    both_inside = threading.Barrier(2, timeout=10)

    def source() -> int:
        # Nobody leaves before both are here: each has found no id and is making one.
        return both_inside.wait() + 1

    parent = Message(DATA, 1)
    child = parent.with_headers(a=1)
    set_id_source(source)
    try:
        with ThreadPoolExecutor(2) as pool:
            reads = [pool.submit(message.get_trace_id) for message in (parent, child)]
            first, second = (read.result() for read in reads)
    finally:
        set_id_source(None)
    assert first == second == parent.get_trace_id()


FORK = """
import os
from graphflow import Message, MessageType

def ids():
    return {Message(MessageType.DATA, 1).get_trace_id() for _ in range(100)}

ids()  # the generator is in use before the fork
reader, writer = os.pipe()
child = os.fork()
if child == 0:
    os.write(writer, ",".join(ids()).encode())
    os._exit(0)
os.waitpid(child, 0)
theirs = set(os.read(reader, 65536).decode().split(","))
assert len(theirs) == 100 and not theirs & ids(), "parent and child made the same ids"
"""


def test_ids_are_unique_after_a_fork() -> None:
    done = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_ids_come_from_the_source_that_was_set(ids: CountedIds) -> None:
    assert Message(DATA, 1).get_trace_id() == f"{1:032x}"
    assert Message(DATA, 1).get_trace_id() == f"{2:032x}"
    set_id_source(None)
    assert Message(DATA, 1).get_trace_id() != f"{3:032x}"


@pytest.mark.parametrize(
    ("made", "error"),
    [
        ("abc", TypeError),
        (1.5, TypeError),
        (0, ValueError),
        (-1, ValueError),
        (1 << 128, ValueError),
    ],
)
def test_a_source_that_makes_no_128_bit_int_is_named(made: Any, error: type[Exception]) -> None:
    set_id_source(lambda: made)
    try:
        message = Message(DATA, 1)
        with pytest.raises(error, match="id source"):
            message.get_trace_id()
    finally:
        set_id_source(None)
    assert len(message.get_trace_id()) == 32


def test_a_source_that_cannot_be_called_is_refused() -> None:
    with pytest.raises(TypeError, match="callable"):
        set_id_source(5)  # type: ignore[arg-type]
