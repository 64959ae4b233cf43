"""The pytest plugin: one seed a run, printed and settable, and what hangs on it; the quarantine of this project."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import graphflow

if TYPE_CHECKING:
    from collections.abc import Callable

QUARANTINE = Path(__file__).parents[1] / "quarantine.py"

SEEDED = """
import random
from graphflow import Node

class Source(Node):
    outputs = "out"
    def produce(self):
        yield 1

def test_it(graphflow_seed, graphflow_simulate):
    first, second = graphflow_simulate(Source("source")), graphflow_simulate(Source("source"))
    print("seeds", graphflow_seed, first.seed, second.seed, first.trace_hash)
"""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Callable[..., pytest.RunResult]:
    """Runs pytest on files of its own, in a process of its own, with the plugin."""

    monkeypatch.setenv("PYTHONPATH", str(Path(graphflow.__file__).parents[1]))
    monkeypatch.delenv("GRAPHFLOW_SEED", raising=False)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # those of others take a second to import

    def run(source: str, *arguments: str, conftest: str = "") -> pytest.RunResult:
        pytester.makeconftest('pytest_plugins = ["graphflow.testing.plugin"]\n' + conftest)
        pytester.makepyfile(source)
        return pytester.runpytest_subprocess("-rP", "-p", "xdist", "-p", "no:cacheprovider", *arguments)

    return run


def seeds(result: pytest.RunResult) -> str:
    result.assert_outcomes(passed=1)
    return next(line for line in result.outlines if line.startswith("seeds "))


def test_a_given_seed_repeats_a_run(run: Callable[..., pytest.RunResult]) -> None:
    first = run(SEEDED, "--graphflow-seed=5")
    again = run(SEEDED, "--graphflow-seed=5")
    other = run(SEEDED, "--graphflow-seed=6")
    assert seeds(first) == seeds(again) != seeds(other)
    assert "graphflow seed: 5 (again: --graphflow-seed=5)" in first.outlines
    _, mine, one, two, _ = seeds(first).split()
    assert [int(one), int(two)] == [int(mine), int(mine) + 1]


def test_without_a_seed_one_is_drawn_and_printed(run: Callable[..., pytest.RunResult]) -> None:
    drawn = run(SEEDED)
    number = next(line for line in drawn.outlines if line.startswith("graphflow seed: ")).split()[2]
    assert seeds(run(SEEDED, f"--graphflow-seed={number}")) == seeds(drawn)


def test_the_environment_can_give_the_seed(
    run: Callable[..., pytest.RunResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAPHFLOW_SEED", "5")
    assert seeds(run(SEEDED)) == seeds(run(SEEDED, "--graphflow-seed=5"))


DRAWS = """
import pytest, random

@pytest.mark.parametrize("number", range(6))
def test_it(number, graphflow_seed):
    print("drawn", number, graphflow_seed)
"""


def test_the_processes_of_a_run_have_one_seed(run: Callable[..., pytest.RunResult]) -> None:
    def drawn(*arguments: str) -> set[str]:
        result = run(DRAWS, *arguments)
        result.assert_outcomes(passed=6)
        return {line for line in result.outlines if line.startswith("drawn ")}

    assert drawn("--graphflow-seed=5") == drawn("--graphflow-seed=5", "-n", "2")
    several = run(DRAWS, "-n", "2")
    number = next(line for line in several.outlines if line.startswith("graphflow seed: ")).split()[2]
    assert drawn(f"--graphflow-seed={number}") == {line for line in several.outlines if line.startswith("drawn ")}


def test_a_failed_simulation_says_how_to_run_it_again(run: Callable[..., pytest.RunResult]) -> None:
    failing = SEEDED + "    graphflow_simulate(Source('source'), max_steps=1)\n"
    result = run(failing, "--graphflow-seed=5")
    result.assert_outcomes(failed=1)
    again = next(line for line in result.outlines if "again: pytest " in line)
    assert again.endswith("::test_it --graphflow-seed=5")


# -------------------------------------------------------------------------------------- quarantine

FLAKY = """
import pathlib, pytest

@pytest.mark.flaky_quarantine("fails the first time")
def test_flaky():
    tries = pathlib.Path("tries")
    count = len(tries.read_text()) if tries.exists() else 0
    tries.write_text("x" * (count + 1))
    assert count >= {passes_at}

def test_other():
    assert {other}
"""


@pytest.fixture
def quarantined(pytester: pytest.Pytester, run: Callable[..., pytest.RunResult]) -> Callable[..., pytest.RunResult]:
    """Runs FLAKY with the quarantine plugin and these entries."""

    def quarantined(
        entries: str, *arguments: str, passes_at: int = 1, other: bool = True, apart: bool = True, **source: str
    ) -> pytest.RunResult:
        (pytester.path / "quarantine.py").write_text(QUARANTINE.read_text())
        (pytester.path / "QUARANTINE.md").write_text(f"| test | since |\n|---|---|\n{entries}\n")
        text = source.get("source", FLAKY.format(passes_at=passes_at, other=other))
        chosen = ["--quarantine"] if apart else []
        return run(text, "--strict-markers", *chosen, *arguments, conftest='pytest_plugins.append("quarantine")\n')

    return quarantined


def _entry(request: pytest.FixtureRequest) -> str:
    return f"| `{request.node.originalname}.py::test_flaky` | 2026-11 |"


def test_a_quarantined_test_is_tried_twice_and_reported(
    quarantined: Callable[..., pytest.RunResult], request: pytest.FixtureRequest
) -> None:
    result = quarantined(_entry(request))
    result.assert_outcomes(passed=1, deselected=1)
    result.stdout.fnmatch_lines(["*= quarantine =*", "*::test_flaky: passed the second time; the first time: *"])


def test_a_quarantined_test_that_another_process_ran_is_reported(
    quarantined: Callable[..., pytest.RunResult], request: pytest.FixtureRequest
) -> None:
    result = quarantined(_entry(request), "-n", "1")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*= quarantine =*", "*::test_flaky: passed the second time; the first time: *"])


def test_a_quarantined_test_is_not_tried_three_times(
    quarantined: Callable[..., pytest.RunResult], request: pytest.FixtureRequest
) -> None:
    result = quarantined(_entry(request), passes_at=2)
    result.assert_outcomes(failed=1, deselected=1)
    result.stdout.fnmatch_lines(["*::test_flaky: failed twice; the first time: *"])


def test_other_tests_are_tried_once_and_without_those_in_quarantine(
    quarantined: Callable[..., pytest.RunResult], request: pytest.FixtureRequest
) -> None:
    quarantined(_entry(request), apart=False, other=False).assert_outcomes(failed=1, deselected=1)


def test_a_quarantine_without_an_entry_is_refused(quarantined: Callable[..., pytest.RunResult]) -> None:
    result = quarantined("")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*test_flaky is in quarantine without an entry in QUARANTINE.md"])


def test_a_quarantine_without_a_reason_is_refused(
    quarantined: Callable[..., pytest.RunResult], request: pytest.FixtureRequest
) -> None:
    source = FLAKY.format(passes_at=0, other=True).replace('("fails the first time")', "")
    result = quarantined(_entry(request), source=source)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*flaky_quarantine needs a reason, a str"])
