"""Calls of an edge, an input and an output that cannot be meant: refused, and the edge is as it was."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from edges import drained, make_edge
from graphs import DEADLINE_S, Collect, Map, Remote, assert_graph_conserved, chain, scheduler_of
from hostile import HOSTILE, HUGE, INF, NAN, Touched

from graphflow import Coalesce, Edge, EdgeClosed, Latest, PutResult

if TYPE_CHECKING:
    from collections.abc import Callable

WRONG_TIMEOUTS = [
    *((value, ValueError) for value in (-1, -0.5, -INF, NAN, -HUGE)),
    *((value, OverflowError) for value in (INF, 1e30, 2**70, HUGE)),
    *((value, TypeError) for value in (True, False, "1", b"1", [1], 1j, object())),
]
WRONG_COUNTS = [
    *((value, ValueError) for value in (0, -1, 2**70, HUGE)),
    *((value, TypeError) for value in (None, True, 1.5, NAN, "3", [3], object())),
]

Case = tuple[str, tuple[Any, ...], dict[str, Any], type[BaseException], str]


def timeouts(call: str, *args: Any) -> list[Case]:
    named: list[Case] = [
        (call, args, {"timeout": value}, error, f"^timeout must be .*not {re.escape(repr(value))}$")
        for value, error in WRONG_TIMEOUTS
    ]
    return [*named, (call, args, {"timeout": HOSTILE}, Touched, "")]


def counts(call: str, name: str) -> list[Case]:
    named: list[Case] = [
        (call, (value,), {}, error, f"^{name} must be .*not {re.escape(repr(value))}$") for value, error in WRONG_COUNTS
    ]
    return [*named, (call, (HOSTILE,), {}, Touched, "")]


NONE_IS_NO_ITEM = "a bare None is not an item"
PUTS: list[Case] = [
    *timeouts("put", "new"),
    *timeouts("put_many", ["new"]),
    ("put", (None,), {}, TypeError, NONE_IS_NO_ITEM),
    ("try_put", (None,), {}, TypeError, NONE_IS_NO_ITEM),
    ("put_many", (["new", None],), {}, TypeError, NONE_IS_NO_ITEM),
    ("put_many", (3,), {}, TypeError, "^items must be an iterable, not 3$"),
    ("put_many", (HOSTILE,), {}, Touched, ""),
]
GETS: list[Case] = [*timeouts("get"), *timeouts("get_many", 3), *counts("get_many", "max")]
POLICIES: list[Case] = [
    ("try_put", ("new", policy), {}, TypeError, f"policy must be .*not {re.escape(repr(policy))}$")
    for policy in (3, "drop", Latest, object(), HOSTILE)
]
KEYED: list[Case] = [("try_put", ("new", Coalesce(max, key=len)), {}, ValueError, "works only as an edge's own policy")]
EDGE_CASES = [*PUTS, *GETS, *counts("set_capacity", "capacity"), *POLICIES, *KEYED]


def wrong_answer(target: Any, case: Case) -> str:
    """What is wrong with the answer to the call; nothing if it is the refusal that is expected."""
    call, args, options, error, said = case
    shown = f"{call} {args} {options}:"
    try:
        getattr(target, call)(*args, **options)
    except BaseException as raised:
        return "" if type(raised) is error and re.search(said, str(raised)) else f"{shown} {raised!r}"
    return f"{shown} was not refused"


FILLINGS: dict[str, tuple[int, bool]] = {"empty": (0, False), "full": (3, False), "closed": (3, True)}


@pytest.mark.parametrize("filling", FILLINGS)
@pytest.mark.parametrize("bounds", [{}, {"ttl_s": 3600}, {"max_bytes": 100}], ids=str)
def test_a_wrong_call_changes_nothing_of_an_edge(filling: str, bounds: dict[str, Any]) -> None:
    count, closed = FILLINGS[filling]
    edge = make_edge(3, **bounds)
    for number in range(count):
        edge.put(str(number))
    if closed:
        edge.close()
    before = edge.stats()
    answers = [wrong_answer(edge, case) for case in EDGE_CASES]
    assert [answer for answer in answers if answer] == []
    assert (edge.stats(), edge.capacity, edge.closed) == (before, 3, closed)
    assert drained(edge) == [str(number) for number in range(count)]
    if not closed:
        assert edge.try_put("works") is PutResult.OK


def test_a_closed_edge_refuses_every_put_and_once_empty_every_get() -> None:
    edge = make_edge(3)
    edge.put("kept")
    edge.close()
    before = edge.stats()
    puts: list[Callable[[], object]] = [
        lambda: edge.put("new"),
        lambda: edge.put("new", 0),
        lambda: edge.try_put("new"),
        lambda: edge.try_put("new", Latest()),
        lambda: edge.put_many(["new"]),
    ]
    for put in puts:
        with pytest.raises(EdgeClosed, match=f"^{re.escape(edge.id)} is closed: it takes no more items$"):
            put()
    edge.close()  # again: nothing to say
    assert edge.stats() == before
    assert edge.get() == "kept"
    gets: list[Callable[[], object]] = [edge.get, lambda: edge.get(0), lambda: edge.get_many(3)]
    for get in gets:
        with pytest.raises(EdgeClosed, match=f"^{re.escape(edge.id)} is closed and empty$"):
            get()
    assert edge.try_get() is None


STATES = ("new", "running", "in a hook", "stopped")


@pytest.mark.parametrize("state", STATES)
def test_a_wrong_call_changes_nothing_of_an_input_or_an_output(state: str) -> None:
    """The ends of a graph refuse what their edges refuse, whoever asks and whenever."""
    remote, last = Remote(), Collect()
    graph = chain(remote, Map("map"))
    graph.add_node(last)
    graph.expose_input("remote", "remote:calls")
    graph.expose_input("in", "collect:in", capacity=3)
    graph.expose_output("out", "map:out", capacity=3)
    scheduler = scheduler_of(graph)
    into, out = scheduler.input("in"), scheduler.output("out")
    edges: list[Edge[Any]] = [into.edge, out.edge]

    def try_all() -> None:
        before = [edge.stats() for edge in edges]
        closed = state == "stopped"
        puts = [case for case in PUTS if not (closed and case[0] == "put_many" and case[3] is EdgeClosed)]
        answers = [*(wrong_answer(into, case) for case in puts), *(wrong_answer(out, case) for case in GETS)]
        assert [answer for answer in answers if answer] == []
        assert [edge.stats() for edge in edges] == before

    if state != "new":
        scheduler.start()
    if state == "stopped":
        scheduler.shutdown()
    try:
        remote.call(scheduler, try_all) if state == "in a hook" else try_all()
        if not scheduler.is_running():
            scheduler.start()
        into.put("works", timeout=DEADLINE_S)
        remote.emit_there(scheduler, "too")
        assert last.expect(1) == ["works"]
        assert out.get(DEADLINE_S).payload == "too"
    finally:
        scheduler.shutdown(timeout=DEADLINE_S)
    assert last.seen == ["works"]
    assert_graph_conserved(graph)
