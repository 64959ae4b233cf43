"""A run in several processes: each test is run once, and those marked `alone` when nothing else runs."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

HELPERS = Path(__file__).parents[1]

# Each writes when it began and when it ended, by the one clock that all processes have.
TESTS = """
import os, pathlib, time, pytest

def note(what):
    with pathlib.Path("log").open("a") as log:
        log.write(f"{what} {time.monotonic()}\\n")

def act(name, seconds=0.02):
    note(f"{name} began")
    if os.environ.get("CRASHES") == name:
        os._exit(3)
    time.sleep(seconds)
    note(f"{name} ended")

@pytest.mark.alone
@pytest.mark.parametrize("number", range(2))
def test_first(number):
    act(f"alone{number}")

@pytest.mark.parametrize("number", range(6))
def test_beside(number):
    act(f"beside{number}", 0.3 if number == 5 else 0.02)

@pytest.mark.alone
def test_last():
    act("alone2")
"""


class Span(NamedTuple):
    began: float
    ended: float


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Callable[..., pytest.RunResult]:
    monkeypatch.setenv("PYTHONPATH", f"{HELPERS}{os.pathsep}{HELPERS.parent}")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # they take a second to import
    pytester.makeini("[pytest]\nmarkers = alone: as here")
    pytester.makepyfile(TESTS)
    plugins = ("-p", "xdist", "-p", "alone", "-p", "no:cacheprovider")
    return lambda *arguments: pytester.runpytest_subprocess(*plugins, *arguments)


def spans(folder: Path) -> dict[str, Span]:
    """When each test ran; none began twice."""
    times: dict[str, dict[str, float]] = {}
    for line in (folder / "log").read_text().splitlines():
        name, event, time = line.split()
        assert event not in times.setdefault(name, {}), f"{name} {event} twice"
        times[name][event] = float(time)
    return {name: Span(found["began"], found.get("ended", found["began"])) for name, found in times.items()}


def test_those_marked_run_one_by_one_after_all_others(
    run: Callable[..., pytest.RunResult], pytester: pytest.Pytester
) -> None:
    result = run("-n", "2", "--junitxml=report.xml")
    result.assert_outcomes(passed=9)
    ran = spans(pytester.path)
    beside = [span for name, span in ran.items() if name.startswith("beside")]
    alone = sorted(span for name, span in ran.items() if name.startswith("alone"))
    assert (len(beside), len(alone)) == (6, 3)
    assert max(span.ended for span in beside) <= alone[0].began
    assert all(one.ended <= later.began for one, later in itertools.pairwise(alone))
    assert "@" not in (pytester.path / "report.xml").read_text(), "their names are as ever"


@pytest.mark.parametrize("crashes", ["beside5", "alone0"])
def test_a_process_that_crashes_takes_one_test_with_it(
    crashes: str, run: Callable[..., pytest.RunResult], pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRASHES", crashes)
    result = run("-n", "2")
    result.assert_outcomes(passed=8, failed=1)
    result.stdout.fnmatch_lines(["worker 'gw?' crashed while running *"])
    ran = spans(pytester.path)
    assert len(ran) == 9
    last = max(span.ended for name, span in ran.items() if name.startswith("beside"))
    assert last <= min(span.began for name, span in ran.items() if name.startswith("alone"))


def test_in_one_process_they_come_in_the_order_of_the_file(
    run: Callable[..., pytest.RunResult], pytester: pytest.Pytester
) -> None:
    run().assert_outcomes(passed=9)
    assert list(spans(pytester.path)) == ["alone0", "alone1", *(f"beside{number}" for number in range(6)), "alone2"]


def test_another_distribution_may_be_chosen(run: Callable[..., pytest.RunResult]) -> None:
    run("-n", "2", "--dist=loadfile").assert_outcomes(passed=9)
