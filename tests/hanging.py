"""A pytest plugin: the stacks of all threads are printed shortly before a test's own time is up, and not before that.

pytest-timeout prints them too, but from a Python thread, which a hang with the interpreter lock held stops as well. The
`faulthandler_timeout` of pytest is one number for all tests: those that are meant to take long looked as if they hung.
"""

from __future__ import annotations

import faulthandler
import os
from typing import Any

import pytest

SHARE = 5 / 6  # of the time that a test has

_stderr = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_stderr] = os.dup(2)  # while a test runs, its own output is captured there


def pytest_unconfigure(config: pytest.Config) -> None:
    os.close(config.stash[_stderr])


@pytest.hookimpl(tryfirst=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: Any) -> None:
    """The test's own limit is known: from its mark, from PYTEST_TIMEOUT, or from pyproject.toml."""
    faulthandler.dump_traceback_later(settings.timeout * SHARE, file=item.config.stash[_stderr])


@pytest.hookimpl(tryfirst=True)
def pytest_timeout_cancel_timer(item: pytest.Item) -> None:
    faulthandler.cancel_dump_traceback_later()
