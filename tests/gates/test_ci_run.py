"""What .ci/run makes of its gates: each is timed, the first that fails ends it, and so does its limit."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from test_gitlab_ci import gates

ROOT = Path(__file__).parents[2]
MAKEFILE = """
%:
	@echo "1 passed in 0.1s"; test $@ != "$(FAILS)"
sim:
	@sleep $(SIM_TAKES)
"""


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with .ci/run and its list, and gates that do nothing."""
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    (tmp_path / "Makefile").write_text(MAKEFILE)
    return tmp_path


def ci_run(here: Path, *, fails: str = "", sim_takes: float = 0, limit: str = "") -> subprocess.CompletedProcess[str]:
    without = {name: value for name, value in os.environ.items() if not name.startswith(("CI_RUN_", "MAKE"))}
    variables = {**without, "FAILS": fails, "SIM_TAKES": str(sim_takes), "CI_RUN_LIMIT": limit}
    return subprocess.run([here / ".ci" / "run"], env=variables, capture_output=True, text=True, timeout=60)


def test_it_says_of_each_gate_how_long_it_took_and_keeps_the_summaries_in_sight(here: Path) -> None:
    done = ci_run(here)
    assert done.returncode == 0, done.stderr
    for gate in (one.name for one in gates() if one.part != "-"):
        assert re.search(rf"^== make {gate} took \d+\.\d min$", done.stdout, re.MULTILINE), gate
        assert re.search(rf"^all of it in .*\b{gate} (took )?\d+\.\d min", done.stdout, re.MULTILINE), gate
    assert done.stdout.splitlines()[-3] == "1 passed in 0.1s"


@pytest.mark.parametrize("gate", ["exports", "coverage", "sim-plants", "test"])
def test_a_gate_that_fails_fails_it(gate: str, here: Path) -> None:
    done = ci_run(here, fails=gate)
    assert done.returncode != 0
    assert "all of it" not in done.stdout


def test_it_ends_itself_and_says_where_it_was(here: Path) -> None:
    done = ci_run(here, sim_takes=30, limit="1")
    assert done.returncode == 124
    assert "ended in make sim after" in done.stderr


def test_a_part_of_which_the_list_has_no_gate_fails_it_before_any_gate(here: Path) -> None:
    (here / ".ci" / "gates").write_text((here / ".ci" / "gates").read_text().replace("last\n", "-\n"))
    done = ci_run(here)
    assert done.returncode != 0
    assert "== make" not in done.stdout
