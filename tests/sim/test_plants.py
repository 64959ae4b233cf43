"""The simulation finds bugs: each of these is in the core of a build with GRAPHFLOW_PLANTS=1, and is found in time.

`make sim-plants` builds that variant and runs this. Seeds count from 0, so what is found is the same in every run.
"""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import family

from graphflow.testing import SimulationFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

# Plant: (seeds within which it is found, what is said of it).
# "deaf rest" is a bug only before all nodes have started: later the stop begins a phase, which wakes who rests as well.
PLANTS = {
    "lost wake-up": (100, "a wake-up was lost"),
    "off by one": (20, "its capacity is"),
    "starving tick": (200, "a tick is due"),
    "dropped outbox entry": (2000, "are missing"),
    "delivered twice": (2000, "came twice|what it never sent|as offered"),
    "stale look": (1000, "its node was not told of"),
    "unwoken keeper": (50, "due before the keeper wakes"),
    "control behind data": (500, "control waits"),
    "leaking limit": (200, "its outbox holds"),
    "kept ring": (1000, "a getter waits for one"),
    "uncounted expiry": (1500, "has lost count"),
    "small one left out": (2000, "a putter waits for it"),
    "unheard resume": (200, "is not queued"),
    "impatient stop": (1500, "was stopped before"),
    "half a drain": (1500, "on_drain of"),
    "merged bytes kept": (200, "bytes and counts"),
    "undelivered twice": (1000, "as offered"),
    "failed attempt published": (1500, "came twice"),
    "deaf rest": (300, "rests in sleep\\(\\) although it is to end"),
    "outbox without room": (200, "was refused"),
    "context lost between": (300, "in a context that"),
    "stream never begun": (1500, "can go on|did not drain|on_drain of|has not ended"),
    "stream before its turn": (1000, "came out of order"),
    "kept without bound": (300, "its bound is"),
    "kept for good": (200, "counted are"),
    "turn paid twice": (100, "turns of its"),
    "broken line": (2000, "was not told of|did not drain|has not ended"),
}


@pytest.fixture(scope="module", autouse=True)
def quick_collections() -> Iterator[None]:
    """Each simulation begins with a collection, which need not look through all that was imported."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def planted(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    assert os.environ.get("GRAPHFLOW_PLANTS") == "1", "this needs the build that make sim-plants makes"
    monkeypatch.setenv("GRAPHFLOW_PLANT", request.param)
    return str(request.param)


def first_failure(seeds: int) -> SimulationFailed | None:
    for seed in range(seeds):
        try:
            family.run(seed)
        except SimulationFailed as failure:
            return failure
    return None


@pytest.mark.parametrize("planted", PLANTS, indirect=True)
def test_the_bug_is_found_and_its_seed_finds_it_again(
    planted: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    within, words = PLANTS[planted]
    failure = first_failure(within)
    assert failure is not None, f"{planted} was not found within {within} seeds"
    with capsys.disabled():
        print(f"\n{planted}: found at seed {failure.seed} of {within}: {failure.what}")
    with pytest.raises(SimulationFailed, match=words) as again:
        family.run(failure.seed)
    assert again.value.trace == failure.trace
    monkeypatch.delenv("GRAPHFLOW_PLANT")
    family.run(failure.seed)  # without the bug nothing is wrong there
