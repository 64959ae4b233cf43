"""The benchmark gate, live: it fails on a planted slowdown of 20 %, and passes without."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FIGURE = "edge.block"


def gate(*arguments: str, plant: str = "0") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "perf" / "gate.py", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "GRAPHFLOW_BENCH_PLANT": plant},
    )


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The figure as this machine has it now, so that the test holds on any."""
    results = tmp_path_factory.mktemp("baseline")
    script: list[str | Path] = [
        sys.executable,
        ROOT / "perf" / "bench_edge.py",
        "--quiet",
        "--only",
        FIGURE,
        "-p8",
        "-n4",
        "-w1",
    ]
    path = os.pathsep.join([str(ROOT), str(ROOT / "perf")])
    done = subprocess.run(
        [*script, "-o", results / "base.json", "--inherit-environ", "PYTHONPATH"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return results / "base.json"


def test_nothing_planted_passes(baseline: Path) -> None:
    done = gate("check", "--baseline", str(baseline), "--only", FIGURE)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_planted_slowdown_fails(baseline: Path) -> None:
    done = gate("check", "--baseline", str(baseline), "--only", FIGURE, plant="0.2")
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"1 of 1 figures failed: {FIGURE}" in done.stdout


def test_another_build_is_refused(baseline: Path, tmp_path: Path) -> None:
    content = baseline.read_text().replace('"graphflow_build":"release"', '"graphflow_build":"debug"')
    assert json.loads(content) != json.loads(baseline.read_text())
    other = tmp_path / "debug.json"
    other.write_text(content)
    done = gate("check", "--baseline", str(other), "--only", FIGURE)
    assert done.returncode == 2
    assert "do not compare" in done.stderr
