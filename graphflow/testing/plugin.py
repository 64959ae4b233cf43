"""A pytest plugin: a seed for each run, printed and settable, and simulations that use it.

Installed with graphflow, pytest finds it by itself: the option `--graphflow-seed`, a line in the header, and the
fixtures below.
"""

from __future__ import annotations

import functools
import hashlib
import os
import random
from typing import TYPE_CHECKING, Any

import pytest

from graphflow.testing import replay

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphflow.testing.outcome import Simulation

SEED_VARIABLE = "GRAPHFLOW_SEED"
_HANDED = "graphflow_seed"  # what a process of pytest-xdist is handed


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option that repeats a run."""
    parser.getgroup("graphflow").addoption(
        "--graphflow-seed", default=None, help=f"repeat a run's random choices (also {SEED_VARIABLE})"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Choose the run's seed."""
    choose_seed(config)


def choose_seed(config: pytest.Config) -> str:
    """The run's seed: as it is given, or drawn the first time."""
    if replay.run_seed is None:
        handed = getattr(config, "workerinput", {}).get(_HANDED)
        given = handed or config.getoption("--graphflow-seed") or os.environ.get(SEED_VARIABLE)
        replay.run_seed = str(given) if given else str(random.SystemRandom().randrange(2**32))
    return replay.run_seed


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """The processes of a run with pytest-xdist all have its seed: a test draws the same in whichever it is."""
    node.workerinput[_HANDED] = replay.run_seed


def pytest_unconfigure() -> None:
    """Outside of pytest there is no seed of a run."""
    replay.run_seed = None


def pytest_report_header() -> str:
    """The run's seed, and how to use it again."""
    return f"graphflow seed: {replay.run_seed} (again: --graphflow-seed={replay.run_seed})"


def seed_of(nodeid: str) -> int:
    """A number that is a test's own in this run, from 0 to 2**48 - 1."""
    digest = hashlib.sha256(f"{replay.run_seed}:{nodeid}".encode()).digest()
    return int.from_bytes(digest[:6], "big")


@pytest.fixture
def graphflow_seed(request: pytest.FixtureRequest) -> int:
    """A number that is this test's own in this run; the run's seed is in the header and in the JUnit report."""
    request.node.user_properties.append(("graphflow_seed", replay.run_seed))
    return seed_of(request.node.nodeid)


@pytest.fixture
def graphflow_simulate(graphflow_seed: int) -> Callable[..., Simulation]:
    """`graphflow.testing.simulate` with a seed of this test's, another one at each call."""
    from graphflow.testing import simulate

    calls = iter(range(2**32))

    @functools.wraps(simulate)
    def simulate_next(*args: Any, **kwargs: Any) -> Simulation:
        return simulate(*args, **{"seed": (graphflow_seed + next(calls)) % 2**48, **kwargs})

    return simulate_next
