"""The coverage gate is red when less is run than was, on the report and the traced build that `make coverage` left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
TRACED = ROOT / "build" / "variants" / "trace"
REPORT = TRACED / "coverage.json"


def gate(report: Path) -> subprocess.CompletedProcess[str]:
    program = ROOT / "tests" / "gates" / "coverage_gate.py"
    return subprocess.run([sys.executable, program, report], cwd=TRACED, capture_output=True, text=True)


@pytest.fixture
def report() -> dict[str, Any]:
    assert REPORT.exists(), "there is no report: run make coverage first"
    loaded: dict[str, Any] = json.loads(REPORT.read_text())
    return loaded


def test_the_report_as_it_is_passes(report: dict[str, Any]) -> None:
    done = gate(REPORT)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_module_that_vanished_from_the_report_is_named(report: dict[str, Any], tmp_path: Path) -> None:
    del report["files"]["graphflow/core/edges/queue.pyx"]
    (tmp_path / "report.json").write_text(json.dumps(report))
    done = gate(tmp_path / "report.json")
    assert done.returncode == 1
    assert "graphflow/core/edges/queue.pyx is missing from the report" in done.stderr


@pytest.mark.parametrize(
    ("kept", "complaints"),
    [
        (".py", ["the core's coverage is under its floor", "the total coverage is under its floor"]),
        (".pyx", ["the total coverage is under its floor"]),
    ],
    ids=["the core", "all else"],
)
def test_lines_that_were_not_run_are_missed(
    kept: str, complaints: list[str], report: dict[str, Any], tmp_path: Path
) -> None:
    for name, entry in report["files"].items():
        if not name.endswith(kept):
            entry["summary"]["covered_lines"] = 0
    (tmp_path / "report.json").write_text(json.dumps(report))
    done = gate(tmp_path / "report.json")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [f"coverage gate: {complaint}" for complaint in sorted(complaints)]


def test_a_run_of_few_tests_is_not_enough(tmp_path: Path) -> None:
    few = tmp_path / "few.json"
    command = [
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--cov",
        f"--cov-report=json:{few}",
        "tests/unit/test_message.py",
    ]
    environment = {**os.environ, "COVERAGE_FILE": str(tmp_path / "coverage"), "GRAPHFLOW_TRACE": "1"}
    ran = subprocess.run([sys.executable, "-m", *command], cwd=TRACED, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout
    done = gate(few)
    assert done.returncode == 1
    assert "coverage is under its floor" in done.stderr
