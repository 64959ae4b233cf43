"""A pytest plugin: what is known of the schedulers of a failing test is written into artifacts/<test>/.

Those that still exist when the test has failed are dumped, running or not: the traceback keeps the test's own alive.
"""

from __future__ import annotations

import logging
import os
import re
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import graphflow.runtime.scheduler
from graphflow.observability import RecentLogs, dump

if TYPE_CHECKING:
    from collections.abc import Generator

    from graphflow import Scheduler

FOLDER_VARIABLE = "GRAPHFLOW_ARTIFACTS"

_logs = RecentLogs(1000)
_earlier: weakref.WeakSet[Scheduler] = weakref.WeakSet()  # those that existed before the present test


def folder_of(nodeid: str) -> Path:
    """Where the artifacts of a test go."""
    return Path(os.environ.get(FOLDER_VARIABLE, "artifacts")) / re.sub(r"[^\w.-]+", "_", nodeid)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart() -> None:
    """Keep the latest log records, whatever a test does with logging."""
    logging.getLogger("graphflow").addHandler(_logs)


def pytest_sessionfinish() -> None:
    logging.getLogger("graphflow").removeHandler(_logs)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    _earlier.update(graphflow.runtime.scheduler._live)
    _logs.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and call.excinfo is not None:
        mine = [scheduler for scheduler in list(graphflow.runtime.scheduler._live) if scheduler not in _earlier]
        seed = dict(item.user_properties).get("graphflow_seed")
        for number, scheduler in enumerate(mine):
            folder = folder_of(item.nodeid) / call.when
            folder = folder if len(mine) == 1 else folder / str(number)
            report.sections.append(("graphflow", _dumped(scheduler, folder, seed)))
    return report


def _dumped(scheduler: Scheduler, folder: Path, seed: object) -> str:
    """Dump, and say where; a dump that fails is not to hide the test's own failure."""
    try:
        dump(scheduler, folder, seed=seed)
    except Exception as error:
        return f"{scheduler!r} could not be dumped: {error!r}"
    return f"{scheduler.name} ({scheduler.snapshot().status}): everything known of it is in {folder}"
