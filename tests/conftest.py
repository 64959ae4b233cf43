"""What every test gets: a seed that is printed and can be given again, and a look at what it leaves behind."""

from __future__ import annotations

import gc
import hashlib
import logging
import os
import random
import threading
import time
from typing import TYPE_CHECKING

import pytest

import graphflow.scheduler

pytest.register_assert_rewrite("artifacts", "awaits", "coroutines", "edges", "graphs", "timing", "turns")

from artifacts import (  # noqa: E402, F401
    pytest_runtest_makereport,
    pytest_runtest_setup,
    pytest_sessionfinish,
    pytest_sessionstart,
)
from edges import edges_are_conserved, fast_switching  # noqa: E402, F401

if TYPE_CHECKING:
    from collections.abc import Iterator

SEED_VARIABLE = "GRAPHFLOW_SEED"
LEAVE_S = 5.0  # how long threads may take to end after a test

_run_seed = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--graphflow-seed", default=None, help=f"repeat a run's random choices (also {SEED_VARIABLE})")


def pytest_configure(config: pytest.Config) -> None:
    given = config.getoption("--graphflow-seed") or os.environ.get(SEED_VARIABLE)
    config.stash[_run_seed] = str(given) if given else str(random.SystemRandom().randrange(2**32))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave what the tracer of the coverage build falsifies out of that build: it runs in every other."""
    if not os.environ.get("GRAPHFLOW_TRACE"):
        return
    untraced = [item for item in items if item.get_closest_marker("untraced")]
    config.hook.pytest_deselected(items=untraced)
    items[:] = [item for item in items if item not in untraced]


def pytest_report_header(config: pytest.Config) -> str:
    seed = config.stash[_run_seed]
    return f"graphflow seed: {seed} (again: --graphflow-seed={seed})"


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """A number that is this test's own in this run. The run's seed is in the header and in the JUnit report."""
    run_seed = request.config.stash[_run_seed]
    digest = hashlib.sha256(f"{run_seed}:{request.node.nodeid}".encode()).digest()
    request.node.user_properties.append(("graphflow_seed", run_seed))
    number = int.from_bytes(digest[:6], "big")
    print(f"seed of this test: {number}, of the run: {run_seed}")
    return number


@pytest.fixture
def rng(seed: int) -> random.Random:
    """Random numbers from this test's seed."""
    return random.Random(seed)


@pytest.fixture(autouse=True)
def leaves_nothing_behind() -> Iterator[None]:
    """No thread, running scheduler or logging handler outlives the test."""
    threads = set(threading.enumerate())
    handlers = _handlers()
    yield
    left = _threads_left(threads)
    assert not left, f"threads left behind: {left}"
    running = [scheduler for scheduler in list(graphflow.scheduler._live) if scheduler.is_running()]
    assert not running, f"schedulers left running: {running}"
    assert _handlers() == handlers, "the test left a logging handler behind"


def _threads_left(before: set[threading.Thread]) -> list[threading.Thread]:
    deadline = time.monotonic() + LEAVE_S
    left: list[threading.Thread] = []
    for thread in threading.enumerate():
        if thread not in before:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                left.append(thread)
    return left


def _handlers() -> set[tuple[str, int]]:
    """Handlers of all loggers, but for pytest's own."""
    loggers = [logging.getLogger(), *logging.Logger.manager.loggerDict.values()]
    return {
        (logger.name, id(handler))
        for logger in loggers
        if isinstance(logger, logging.Logger)
        for handler in logger.handlers
        if not type(handler).__module__.startswith("_pytest")
    }


@pytest.fixture
def collected() -> Iterator[None]:
    """Garbage of earlier tests is gone before this one looks at references."""
    gc.collect()
    yield
    gc.collect()
