"""The command that runs a failed simulation again."""

from __future__ import annotations

import os
import shlex
import sys

SEED_VARIABLE = "GRAPHFLOW_SIMULATE_SEED"

run_seed: str | None = None  # that of a pytest run, while it lasts; see plugin.py


def again(seed: int, replay: str | None) -> str:
    """One line for a shell: what the caller gave, else the test that runs, else the program, told the seed."""
    if replay is not None:
        return replay.replace("{seed}", str(seed))
    test = os.environ.get("PYTEST_CURRENT_TEST")
    if test is not None and run_seed is not None:
        nodeid = test.rpartition(" ")[0]
        return f"pytest {shlex.quote(nodeid)} --graphflow-seed={run_seed}"
    program = getattr(sys, "orig_argv", [sys.executable, *sys.argv])
    return f"{SEED_VARIABLE}={seed} {shlex.join(program)}"
