"""Every public call with every kind of wrong value: refused by a documented error, and nothing has changed by it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import fuzzed_worlds
import pytest
from fuzzed import World, attempt
from graphs import chain, scheduler_of
from hostile_values import VALUES, Value
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import graphflow
from graphflow import Node

if TYPE_CHECKING:
    from collections.abc import Callable

TESTS = Path(fuzzed_worlds.__file__).parent
PACKAGE = Path(graphflow.__file__).parent.parent


def test_a_table_of_calls_and_wrong_values(tmp_path: Path) -> None:
    """In a process of its own, in an empty folder: a crash is seen as one, and tells where; some values are paths."""
    paths = [str(TESTS), str(PACKAGE), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, str(TESTS / "fuzzed_run.py")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, f"exit {done.returncode}: {done.stderr[-5000:]}"
    answer = json.loads(done.stdout.splitlines()[-1])
    assert {name: found[:20] for name, found in answer["found"].items() if found} == {}
    # The table is worth its time only if the calls take good arguments and refuse wrong ones.
    assert set(answer["answered"]) == set(fuzzed_worlds.WORLDS)
    for name, counts in answer["answered"].items():
        assert min(counts["refused"], counts["taken"]) > 50, (name, counts)


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=2**60, max_value=2**1100),
    st.floats(),
    st.complex_numbers(),
    st.text(),
    st.text("inouta:/->\ud800", max_size=8),
    st.binary(),
    st.decimals(),
    st.fractions(),
)
DRAWN = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner, inner),
        st.tuples(inner, inner, inner),
        st.dictionaries(st.one_of(st.text(), st.integers()), inner, max_size=3),
        st.frozensets(st.integers(), max_size=3),
    ),
    max_leaves=6,
)


def as_value(drawn: Any) -> Value:
    return Value(ascii(drawn), lambda: drawn, (ArithmeticError,))  # that of a Decimal, when it is compared


@pytest.mark.parametrize("name", fuzzed_worlds.WORLDS)
def test_drawn_calls_with_several_wrong_values(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def act(world: World) -> list[str]:
        found: list[str] = []

        @settings(
            max_examples=100,
            print_blob=True,
            deadline=None,
            database=None,
            suppress_health_check=[HealthCheck.too_slow],
        )
        @given(st.data())
        def calls(data: st.DataObject) -> None:
            target = data.draw(st.sampled_from(list(world.targets())))
            names = data.draw(st.lists(st.sampled_from(list(target.good)), min_size=1, max_size=3, unique=True))
            values = st.one_of(DRAWN.map(as_value), st.sampled_from(VALUES))
            wrong = {each: data.draw(values) for each in names}
            complaint, _ = attempt(world, target, wrong, data.draw(st.booleans()))
            found.extend([] if complaint is None else [complaint])
            assert complaint is None

        try:
            calls()
        except AssertionError:
            return found[-1:]
        return []

    place = fuzzed_worlds.WORLDS[name]()
    try:
        assert place.run(act) == []
    finally:
        place.close()


def test_items_that_are_none_are_named_by_an_input_that_is_traced_too() -> None:
    graph = chain(Node("a", "in"))
    graph.expose_input("in", "a:in")
    scheduler = scheduler_of(graph)
    scheduler.set_spans(mock.Mock(stamp=lambda item: item))
    wrong: Any = 5
    puts: list[Callable[[Any], object]] = [scheduler.input("in").put_many, graph.edges[0].put_many]
    for put_many in puts:
        with pytest.raises(TypeError, match=r"^items must be an iterable, not 5$"):
            put_many(wrong)
    assert scheduler.input("in").put_many(iter("ab")) == 2
