"""Programs of their own, for what a test cannot do inside its process: signals, forks, the end of the interpreter."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from graphs import DEADLINE_S

TESTS = Path(__file__).resolve().parent


def started(code: str) -> subprocess.Popen[str]:
    """A Python that runs the code; it can import what the tests import."""
    path = f"import sys\nsys.path[:0] = [{str(TESTS)!r}, {str(TESTS.parent)!r}]\n"
    return subprocess.Popen(
        [sys.executable, "-W", "error::ResourceWarning", "-c", path + code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONFAULTHANDLER": "1"},
    )


def finish(process: subprocess.Popen[str], before: str = "", deadline_s: float = DEADLINE_S) -> tuple[int, str, str]:
    """Exit code, output (after what was read `before`) and errors of a program; a test whose program hangs fails."""
    try:
        out, err = process.communicate(timeout=deadline_s)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)  # faulthandler prints the stacks
        out, err = process.communicate()
        pytest.fail(f"the process hangs\n{out}\n{err}")
    return process.returncode, before + out, err
