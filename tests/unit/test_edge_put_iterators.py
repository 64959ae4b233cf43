"""put_many of what has no length: it is read as far as there is room, and nothing that was read is lost."""

from __future__ import annotations

import itertools
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest
from edges import Call, drained, make_edge, wait_until
from graphs import Collect, inlet, scheduler_of

from graphflow import EdgeClosed, Message, MessageType, PortSpec, SchemaError

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_an_endless_iterator_is_read_as_far_as_there_is_room_and_one_more() -> None:
    edge, numbers = make_edge(4), itertools.count()
    with pytest.raises(TimeoutError) as refused:
        edge.put_many(numbers, timeout=0)
    assert (vars(refused.value)["accepted"], vars(refused.value)["item"]) == (4, 4)
    assert next(numbers) == 5
    assert drained(edge) == [0, 1, 2, 3]


def test_the_item_of_the_error_and_the_iterator_are_all_that_is_left() -> None:
    edge, numbers, seen = make_edge(3), iter(range(20)), list[int]()
    rest: Iterator[int] = numbers
    while True:
        try:
            edge.put_many(rest, timeout=0)
            break
        except TimeoutError as full:
            rest = itertools.chain([vars(full)["item"]], numbers)
            seen += drained(edge)
    assert seen + drained(edge) == list(range(20))


def _read_into(read: list[int], count: int) -> Iterator[int]:
    for number in range(count):
        read.append(number)
        yield number


def test_it_is_read_on_when_there_is_room() -> None:
    edge, read = make_edge(1), list[int]()
    call = Call(edge.put_many, _read_into(read, 50))
    for number in range(50):
        assert edge.get(timeout=30) == number
        assert len(read) <= number + 3  # taken, in the edge, in hand
    assert call.outcome() == 50


@pytest.mark.parametrize("before", [0, 2])
def test_a_close_says_which_item_did_not_go_in(before: int) -> None:
    edge = make_edge(2)
    if before == 0:
        edge.close()
    call = Call(edge.put_many, iter("abcd"))
    if before:
        wait_until(lambda: edge.stats().blocked)
        edge.close()
    error = call.exception(30)
    assert isinstance(error, EdgeClosed)
    assert (vars(error)["accepted"], vars(error)["item"]) == (before, "abcd"[before])


def test_a_wrong_item_says_where_it_was_and_what_came_before_is_in() -> None:
    edge, items = make_edge(spec=PortSpec("in", int)), iter([1, 2, "three", 4])
    with pytest.raises(SchemaError) as wrong:
        edge.put_many(items)
    assert (vars(wrong.value)["accepted"], vars(wrong.value)["item"]) == (2, "three")
    assert edge.put_many(items) == 1
    assert drained(edge) == [1, 2, 4]


def test_an_iterable_class_without_a_length_is_read_no_further_either() -> None:
    class Endless:
        def __iter__(self) -> Iterator[int]:
            return itertools.count()

    edge = make_edge(2)
    with pytest.raises(TimeoutError) as full:
        edge.put_many(Endless(), timeout=0.01)
    assert vars(full.value)["accepted"] == 2


def test_control_of_an_iterator_goes_to_the_lane() -> None:
    edge, stop = make_edge(2), Message(MessageType.CONTROL, "stop")
    assert edge.put_many(iter([1, stop, 2])) == 3
    assert drained(edge) == [stop, 1, 2]


@pytest.mark.untraced  # what the signal handler raises ends in the tracer, if that is what it interrupts
@pytest.mark.parametrize("make", [list, iter])
def test_an_interrupt_says_how_many_went_in(make: Any) -> None:
    """A signal handler that raises, here a custom one, ends the wait on the main thread."""

    class Enough(Exception):
        pass

    def enough(*_: object) -> None:
        raise Enough

    edge = make_edge(2)

    def interrupt() -> None:
        wait_until(lambda: edge.stats().blocked)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    waiting = threading.Thread(target=interrupt)
    before = signal.signal(signal.SIGUSR1, enough)
    try:
        waiting.start()
        with pytest.raises(Enough) as ended:
            edge.put_many(make("abcd"))
    finally:
        waiting.join()
        signal.signal(signal.SIGUSR1, before)
    assert vars(ended.value)["accepted"] == 2
    assert vars(ended.value).get("item") == ("c" if make is iter else None)


class Stamps:
    """Tracing that marks what is put."""

    def stamp(self, item: Any) -> Any:
        return Message(MessageType.DATA, item, headers={"stamped": "yes"})


def test_a_traced_input_gives_back_the_item_as_it_came() -> None:
    scheduler = scheduler_of(inlet(Collect(), capacity=2))
    scheduler.set_spans(Stamps())  # type: ignore[arg-type]
    numbers = itertools.count()
    with pytest.raises(TimeoutError) as full:
        scheduler.input("in").put_many(numbers, timeout=0)
    assert (vars(full.value)["accepted"], vars(full.value)["item"]) == (2, 2)
    assert scheduler.input("in").edge.get().headers["stamped"] == "yes"
    assert scheduler.input("in").put_many([7], timeout=0) == 1
