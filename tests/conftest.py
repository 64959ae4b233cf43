"""What every test gets: a seed that is printed and can be given again, and a look at what it leaves behind."""

from __future__ import annotations

import contextvars
import gc
import importlib.util
import logging
import os
import random
import signal
import sysconfig
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

import graphflow.runtime.scheduler
from graphflow.testing import replay

HELPERS = (
    "artifacts",
    "awaits",
    "busy",
    "coroutines",
    "counting",
    "edges",
    "graphs",
    "holding",
    "ingesting",
    "quarantine",
    "subgraphs",
    "timing",
    "traced",
    "turns",
)
pytest.register_assert_rewrite(*HELPERS)

from edges import edges_are_conserved, fast_switching  # noqa: E402, F401
from timing import has_gil  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

SEEDS = "graphflow.testing.plugin"  # not imported here: pytest rewrites its assertions first
SEVERAL = ["alone"] if importlib.util.find_spec("xdist") else []  # without it there is one process
pytest_plugins = [SEEDS, *SEVERAL, "artifacts", "hanging", "pytester", "quarantine", "stressing"]

OF_OTHERS = ("decimal_context", "_GENERIC_TYPES_CACHE")  # context variables that libraries use as a cache
LEAVE_S = 5.0  # how long threads may take to end after a test


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Hypothesis has the run's seed too, unless given one of its own. SIGINT and SIGHUP have their effect, in the
    processes of tests too, though a shell has put the run into its background or nohup holds it."""
    for number, default in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, default)
    if config.getoption("--hypothesis-seed") is None:
        config.option.hypothesis_seed = _seeds(config).choose_seed(config)


def _seeds(config: pytest.Config) -> Any:
    return config.pluginmanager.getplugin(SEEDS)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave what the tracer of the coverage build falsifies out of that build: it runs in every other."""
    unstable = [item.nodeid for item in items if " at 0x" in item.nodeid]
    if unstable:  # neither a seed nor another process finds it again
        raise pytest.UsageError(f"these tests have an address in their names: {', '.join(unstable)}")
    if not os.environ.get("GRAPHFLOW_TRACE"):
        return
    untraced = [item for item in items if item.get_closest_marker("untraced")]
    config.hook.pytest_deselected(items=untraced)
    items[:] = [item for item in items if item not in untraced]


def pytest_collection_finish() -> None:
    """What pytest and the modules hold to the end, a million objects, is not looked through again each time that a test
    calls the garbage collector: some do hundreds of times."""
    gc.collect()
    gc.freeze()


_gil_came_back = pytest.StashKey[bool]()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """On a free-threaded Python nothing that was imported has brought the interpreter lock back."""
    came_back = bool(sysconfig.get_config_var("Py_GIL_DISABLED")) and has_gil()
    if hasattr(session.config, "workeroutput"):  # one process of several: the one that reports for all is told
        session.config.workeroutput["gil_came_back"] = came_back  # pyright: ignore[reportAttributeAccessIssue]
    elif came_back or session.config.stash.get(_gil_came_back, False):
        session.config.get_terminal_writer().line("the GIL came back on: a module that needs it was imported", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """What a process of several has found at its end."""
    if getattr(node, "workeroutput", {}).get("gil_came_back"):
        node.config.stash[_gil_came_back] = True


@pytest.fixture(autouse=True)
def random_is_seeded(request: pytest.FixtureRequest) -> None:
    """Whoever uses the module's own generator draws the same in a replay."""
    random.seed(_seeds(request.config).seed_of(request.node.nodeid))


@pytest.fixture
def seed(graphflow_seed: int) -> int:
    """A number that is this test's own in this run."""
    print(f"seed of this test: {graphflow_seed}, of the run: {replay.run_seed}")
    return graphflow_seed


@pytest.fixture
def rng(seed: int) -> random.Random:
    """Random numbers from this test's seed."""
    return random.Random(seed)


@pytest.fixture(autouse=True)
def leaves_nothing_behind() -> Iterator[None]:
    """No thread, running scheduler, context variable or logging handler outlives the test."""
    threads = set(threading.enumerate())
    handlers = _handlers()
    variables = _variables()
    yield
    left = _threads_left(threads)
    assert not left, f"threads left behind: {left}"
    running = [scheduler for scheduler in list(graphflow.runtime.scheduler._live) if scheduler.is_running()]
    assert not running, f"schedulers left running: {running}"
    assert _handlers() == handlers, "the test left a logging handler behind"
    assert _variables() == variables, "the test left a context variable set"


def _threads_left(before: set[threading.Thread]) -> list[threading.Thread]:
    deadline = time.monotonic() + LEAVE_S
    left: list[threading.Thread] = []
    for thread in threading.enumerate():
        if thread not in before:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                left.append(thread)
    return left


def _variables() -> dict[str, int]:
    """The context variables that are set, and the identities of what they hold."""
    found = contextvars.copy_context().items()
    return {variable.name: id(value) for variable, value in found if variable.name not in OF_OTHERS}


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
