"""`make matrix` tests on each other Python that is found, and says which were not."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from test_gitlab_ci import listed

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]


@pytest.fixture
def matrix(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the target where only `there` are found; the suites themselves are not run, but named."""

    def matrix(there: list[str], *arguments: str) -> subprocess.CompletedProcess[str]:
        for version in listed("OTHERS"):
            shim = tmp_path / f"python{version}"
            shim.write_text(f"#!/bin/sh\nexit {0 if version in there else 127}\n")
            shim.chmod(0o755)
        environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
        command = ["make", "-s", "matrix", "MAKE=echo", "PYTHON=python3", *arguments]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)

    return matrix


def test_those_that_are_found_are_tested_and_the_others_named(
    matrix: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = matrix(["3.12", "3.14"])
    assert done.returncode == 0, done.stderr
    assert [line.split()[-2] for line in done.stdout.splitlines()[:-1]] == ["PYTHON=python3.12", "PYTHON=python3.14"]
    assert done.stdout.endswith("matrix: tested on: 3.12 3.14\n")
    assert done.stderr == "matrix: not tested, as there is no pythonX.Y that runs: 3.13\n"


def test_where_none_is_found_it_fails(matrix: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = matrix([])
    assert done.returncode != 0
    assert "matrix: tested on: none" in done.stdout


def test_one_that_was_asked_for_has_to_be_there(matrix: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = matrix(["3.12"], "PYTHONS=3.12 3.14")
    assert done.returncode != 0
    assert "3.14" in done.stderr
    assert matrix(["3.12"], "PYTHONS=3.12").returncode == 0


def test_what_fails_on_one_of_them_fails_it_all(matrix: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    assert matrix(["3.12", "3.13"], "MAKE=false").returncode != 0
