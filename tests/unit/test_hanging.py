"""The stacks of all threads are printed when a test's own time is nearly up: neither never nor sooner."""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
# The second is stopped by pytest-timeout, which ends the process.
TIMED = """
import time
import pytest

@pytest.mark.timeout(60)
def test_that_may_take_long():
    time.sleep(1.5)

def test_that_hangs():
    time.sleep(60)
"""


@pytest.fixture
def printed(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What pytest prints of the two, where a test has a second."""
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    monkeypatch.delenv("PYTEST_TIMEOUT", raising=False)
    pytester.makepyfile(TIMED)
    options = ["-p", "hanging", "-p", "no:cacheprovider", "--timeout=1", "--timeout-method=thread"]
    return pytester.runpytest_subprocess(*options).errlines


def test_a_test_that_hangs_shows_its_stacks_before_its_time_is_up(printed: list[str]) -> None:
    dumped = [line for line in printed if line.startswith("Timeout (0:00:00.83333")]
    assert len(dumped) == 1, printed
    assert any("in test_that_hangs" in line for line in printed[printed.index(dumped[0]) :])


def test_a_test_that_may_take_long_shows_none(printed: list[str]) -> None:
    assert not any("in test_that_may_take_long" in line for line in printed)
    assert sum(line.startswith("Timeout (") for line in printed) == 1


def test_it_is_what_prints_them_in_this_suite(pytestconfig: pytest.Config) -> None:
    assert pytestconfig.pluginmanager.hasplugin("hanging")
    assert not pytestconfig.getini("faulthandler_timeout")  # one number for all tests
