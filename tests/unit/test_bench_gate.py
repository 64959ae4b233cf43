"""The benchmark gate's verdicts, on files made up for it."""

from __future__ import annotations

import csv
import json
import sysconfig
from typing import TYPE_CHECKING, Any

import gate
import instructions
import pytest
import suites
import tables
from suites import Unusable
from verdicts import compare

if TYPE_CHECKING:
    from pathlib import Path

BASE: dict[str, Any] = {
    "hold": "tight",
    "unit": "second",
    "loops": 1,
    "graphflow_build": "release",
    "python_version": "3.11.7 (64-bit)",
    "python_implementation": "cpython",
}


def suite(path: Path, figures: dict[str, float], values: Any = None, **metadata: Any) -> Path:
    """A pyperf file: three processes, each of which measured the value three times."""
    benchmarks = [
        {
            "metadata": BASE | metadata | {"name": name},
            "runs": [{"values": values or [value, value, value]} for _ in range(3)],
        }
        for name, value in figures.items()
    ]
    path.write_text(json.dumps({"version": "1.0", "benchmarks": benchmarks}))
    return path


def verdicts(tmp_path: Path, before: float, now: float, **metadata: Any) -> list[str]:
    base = suites.load(suite(tmp_path / "base.json", {"f": before}, **metadata))
    return [each.verdict for each in compare(base, suites.load(suite(tmp_path / "now.json", {"f": now}, **metadata)))]


@pytest.mark.parametrize(
    ("now", "hold", "verdict"),
    [
        (1.09, "tight", "ok"),
        (1.11, "tight", "SLOWER"),
        (0.89, "tight", "better"),
        (1.9, "loose", "ok"),
        (2.1, "loose", "SLOWER"),
        (50.0, "none", "shown"),
        (1.09, "overhead", "ok"),
        (1.11, "overhead", "SLOWER"),
    ],
)
def test_a_figure_fails_over_its_limit(tmp_path: Path, now: float, hold: str, verdict: str) -> None:
    assert verdicts(tmp_path, 1.0, now, hold=hold) == [verdict]


def test_what_a_feature_costs_is_held_to_a_tenth_whatever_the_baseline_says(tmp_path: Path) -> None:
    """A baseline of 1.045 does not make 1.14 good, and one of 1.2 would not make 1.12 so."""
    assert verdicts(tmp_path, 1.045, 1.09, hold="overhead") == ["ok"]
    assert verdicts(tmp_path, 1.045, 1.11, hold="overhead") == ["SLOWER"]
    assert verdicts(tmp_path, 1.2, 1.12, hold="overhead") == ["SLOWER"]


def test_a_figure_that_is_all_over_the_place_fails(tmp_path: Path) -> None:
    base = suites.load(suite(tmp_path / "base.json", {"f": 1.0}))
    file = suite(tmp_path / "now.json", {"f": 1.0})
    content = json.loads(file.read_text())
    content["benchmarks"][0]["runs"] = [{"values": [value]} for value in (0.8, 1.0, 1.0, 1.2, 0.7, 1.3)]
    file.write_text(json.dumps(content))
    assert [each.verdict for each in compare(base, suites.load(file))] == ["NOISY"]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"python_version": "3.12.1 (64-bit)"}, "the Python of this run is 'cpython 3.12'"),
        ({"python_implementation": "pypy"}, "the Python of this run is 'pypy 3.11'"),
        ({"graphflow_build": "debug"}, "the build of this run is 'debug' and of the baseline 'release'"),
        ({"hold": "none"}, "the hold of this run is 'none'"),
    ],
)
def test_what_does_not_compare_is_not_compared(tmp_path: Path, changed: dict[str, str], says: str) -> None:
    base = suites.load(suite(tmp_path / "base.json", {"f": 1.0}))
    now = suites.load(suite(tmp_path / "now.json", {"f": 1.0}, **changed))
    with pytest.raises(Unusable, match=says):
        compare(base, now)


def test_a_figure_that_one_of_them_lacks_is_unusable(tmp_path: Path) -> None:
    one = suites.load(suite(tmp_path / "one.json", {"f": 1.0}))
    two = suites.load(suite(tmp_path / "two.json", {"f": 1.0, "g": 1.0}))
    with pytest.raises(Unusable, match="this run has no g"):
        compare(two, one)
    with pytest.raises(Unusable, match="the baseline has no g"):
        compare(one, two)


@pytest.mark.parametrize("content", ["", "{", '{"version": "1.0"}', '{"version": "1.0", "benchmarks": []}'])
def test_a_file_that_is_none_is_unusable(tmp_path: Path, content: str) -> None:
    file = tmp_path / "broken.json"
    file.write_text(content)
    with pytest.raises(Unusable, match=r"broken.json .* anew"):
        suites.load(file)
    with pytest.raises(Unusable, match="anew"):
        suites.load(tmp_path / "missing.json")


def measured(monkeypatch: pytest.MonkeyPatch, *attempts: dict[str, float]) -> list[list[str]]:
    """Have the gate measure these, one after another; which figures it asked for."""
    asked: list[list[str]] = []

    def run(output: Path, processes: int, values: int, only: Any = ()) -> None:
        asked.append(list(only))
        output.parent.mkdir(exist_ok=True)
        found = attempts[len(asked) - 1]
        suite(output, {name: value for name, value in found.items() if not only or name in only})

    monkeypatch.setattr(suites, "run", run)
    return asked


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A baseline of two figures, and results that go to the test's folder."""
    monkeypatch.setattr(gate, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(gate, "REASONS", tmp_path / "REASONS.md")
    return suite(tmp_path / "base.json", {"f": 1.0, "g": 2.0})


def test_nothing_slower_passes_at_the_first_attempt(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = measured(monkeypatch, {"f": 1.05, "g": 1.9})
    assert gate.check(base, 1, []) == 0
    assert asked == [[]]


def test_what_is_slower_is_measured_again_and_may_have_been_noise(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = measured(monkeypatch, {"f": 1.2, "g": 2.0}, {"f": 1.3}, {"f": 1.0})
    assert gate.check(base, 1, []) == 0
    assert asked == [[], ["f"], ["f"]]


def test_what_is_slower_in_every_attempt_fails(
    base: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = measured(monkeypatch, {"f": 1.2, "g": 2.0}, {"f": 1.3}, {"f": 1.15})
    assert gate.check(base, 1, []) == 1
    assert len(asked) == gate.ATTEMPTS
    printed = capsys.readouterr().out
    assert "1 of 2 figures failed: f" in printed
    assert "+15.0%" in printed  # the best of the three


def test_a_table_is_written_in_three_forms(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured(monkeypatch, {"f": 1.05, "g": 3.0}, {"g": 3.0}, {"g": 3.0})
    gate.check(base, 1, [])
    found = json.loads((gate.RESULTS / "bench.json").read_text())
    assert [(each["name"], each["verdict"]) for each in found] == [("f", "ok"), ("g", "SLOWER")]
    with (gate.RESULTS / "bench.csv").open() as file:
        lines = list(csv.reader(file))
    assert lines[0] == list(tables.HEAD)
    assert lines[2] == ["g", "2", "3", "+50.0%", "x1.1", "0.0%", "SLOWER"]
    assert "| g | 2 | 3 | +50.0% | x1.1 | 0.0% | SLOWER |" in (gate.RESULTS / "bench.md").read_text()


def test_without_a_baseline_it_says_so_before_it_measures(tmp_path: Path) -> None:
    says = r"no baseline for Python 3\.99, .*there is one for 3\.11, 3\.12, 3\.13.*make bench-baseline REASON="
    with pytest.raises(Unusable, match=says):
        gate.check(tmp_path / "3.99.json", 1, [])


def test_a_python_without_the_gil_has_a_baseline_of_its_own() -> None:
    free = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    assert gate.BASELINE.stem == gate.PYTHON
    assert gate.PYTHON.endswith("t") is free
    assert instructions.BASELINE.stem == f"instructions-{gate.PYTHON}"


def test_a_baseline_without_a_gated_figure_is_unusable(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="holds no gated figure"):
        gate.check(suite(tmp_path / "base.json", {"f": 1.0}, hold="none"), 1, [])


def test_an_unknown_figure_is_named(base: Path) -> None:
    with pytest.raises(Unusable, match="there is no figure h in the baseline; it has f, g"):
        gate.check(base, 1, ["h"])


def test_a_baseline_wants_a_reason(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured(monkeypatch, {"f": 1.0})
    before = base.read_text()
    with pytest.raises(Unusable, match="a baseline changes for a reason"):
        gate.refresh(base, "  ", 1)
    assert base.read_text() == before


def test_a_baseline_is_stripped_and_its_reason_kept(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(output: Path, processes: int, values: int, only: Any = ()) -> None:
        output.parent.mkdir(exist_ok=True)
        suite(output, {"f": 0.5}, hostname="a-machine", cpu_model_name="a-processor", command="/home/somebody/python")

    monkeypatch.setattr(suites, "run", run)
    assert gate.refresh(base, "it became faster", 1) == 0
    assert not any(word in base.read_text() for word in ("a-machine", "a-processor", "somebody"))
    assert suites.load(base)["f"].value == 0.5
    assert "it became faster" in gate.REASONS.read_text()
