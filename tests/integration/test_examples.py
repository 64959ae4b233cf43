"""Each example ends by itself, prints what its docstring says (`...` stands for anything), and its numbers add up."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from graphflow.testing.replay import SEED_VARIABLE

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path for path in (ROOT / "examples").glob("*.py") if path.name != "__init__.py")
PRINTED = re.compile(r"prints:\n\n((?: {4}.*\n)+)")
DEADLINE_S = 60.0  # for a loaded machine or a slow build; each takes less than a second elsewhere


def run(*arguments: str, cwd: Path = ROOT, path: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(path), SEED_VARIABLE: ""},
    )


def lines_of(name: str) -> list[str]:
    """What an example prints."""
    done = run("-m", f"examples.{name}")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def number_in(line: str) -> int:
    [digits] = re.findall(r"\d+", line)
    return int(digits)


def matches(printed: str, line: str) -> bool:
    return re.fullmatch(".*".join(re.escape(part) for part in line.split("...")), printed) is not None


@pytest.mark.parametrize("form", ["script", "module"])
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_it_prints_what_its_docstring_says(example: Path, form: str, tmp_path: Path) -> None:
    done = run(str(example), cwd=tmp_path) if form == "script" else run("-m", f"examples.{example.stem}")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    said = PRINTED.findall(ast.get_docstring(ast.parse(example.read_text()), clean=False) or "")
    assert len(said) == 1
    expected = [line[4:] for line in said[0].splitlines()]
    lines = done.stdout.splitlines()
    assert len(lines) == len(expected), done.stdout
    assert [pair for pair in zip(lines, expected, strict=True) if not matches(*pair)] == []


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_it_is_in_the_table_short_and_has_a_test_of_its_own(example: Path) -> None:
    table = (ROOT / "examples" / "README.md").read_text()
    assert f"\n| [{example.name}]({example.name}) |" in table
    assert len(example.read_text().splitlines()) <= 100
    assert f"test_{example.stem}" in globals()


def test_the_table_names_no_file_that_is_not_there() -> None:
    table = (ROOT / "examples" / "README.md").read_text()
    assert sorted(re.findall(r"^\| \[(\w+\.py)\]", table, re.MULTILINE)) == [path.name for path in EXAMPLES]


# ------------------------------------------------------------------------------- the numbers that matter


def test_hello_graph() -> None:
    lines = lines_of("hello_graph")
    greetings = [line for line in lines if line.startswith("Hello, ")]
    carried = [number_in(line) for line in lines if " carried " in line]
    assert carried == [len(greetings)] * 2 == [3, 3]
    assert "completed: complete" in lines


def test_four_policies() -> None:
    names, *rows = (line.split() for line in lines_of("four_policies"))
    told = {row[0]: dict(zip(names[1:], row[1:], strict=True)) for row in rows}
    offered = int(told["Block"]["offered"])
    for columns in told.values():
        counts = [int(columns[name]) for name in ("delivered", "dropped", "replaced", "coalesced")]
        assert sum(counts) == int(columns["offered"]) == offered
    lost = {"Drop": "dropped", "Latest": "replaced", "Coalesce": "coalesced"}
    assert told.keys() == {"Block", *lost}
    for policy, name in lost.items():
        assert int(told[policy][name]) == int(told["Block"]["BLOCKED"]) > 0
        assert told[policy]["BLOCKED"] == "0"
    assert told["Coalesce"]["shares"] == told["Block"]["shares"] != told["Latest"]["shares"]
    assert {row["newest"] for row in told.values()} == {"#4", f"#{offered}"}
    assert told["Drop"]["newest"] == "#4"


def test_kill_switch() -> None:
    ahead, before, after, refused = (number_in(line) for line in lines_of("kill_switch"))
    assert after == 0
    assert ahead == refused > 900
    assert ahead + before == 1000


def test_asyncio_web_ingest() -> None:
    lines = lines_of("asyncio_web_ingest")
    come, queued, waiting = map(int, re.findall(r"\d+", lines[0]))
    assert come == queued + waiting
    answered, status = map(int, re.findall(r"\d+", lines[1]))
    results, total, peak = map(int, re.findall(r"\d+", lines[2]))
    assert (answered, status, results) == (come, 202, come)
    assert total == sum(range(come))
    assert peak == queued < waiting


def test_retry_dead_letters() -> None:
    lines = lines_of("retry_dead_letters")
    attempts = ast.literal_eval(lines[0].partition(": ")[2])
    delivered = ast.literal_eval(lines[1].partition(": ")[2])
    [dead] = [line.partition(": ")[2] for line in lines if line.startswith("dead letter: ")]
    assert attempts["flaky"] == attempts["poison"] == 3
    assert [*delivered, ast.literal_eval(dead)] == [word for word in attempts if word != "poison"] + ["poison"]
    assert number_in(lines[-2]) == attempts["poison"]


def test_simulate_in_pytest() -> None:
    done = run("-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", "examples/simulate_in_pytest.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
    seed = re.search(r"Racy fails with seed (\d+): check: the numbers are (\[[\d, ]+\])", done.stdout)
    assert seed is not None
    numbers = ast.literal_eval(seed[2])
    assert len(set(numbers)) < len(numbers) == 4


def test_prometheus_endpoint() -> None:
    values = [float(line.rpartition(" ")[2]) for line in lines_of("prometheus_endpoint") if line.startswith(" ")]
    assert values == [0.0, 100.0, 100.0, 0.0]


def test_prometheus_endpoint_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "prometheus_client.py").write_text("raise ImportError('not installed')\n")
    done = run("-m", "examples.prometheus_endpoint", path=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == "this example needs prometheus-client: pip install 'graphflow[metrics]'\n"
