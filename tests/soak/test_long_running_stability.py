"""A mixed graph under load for SOAK_MINUTES: memory stays, and so does the rate."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import growth
import pytest
import recording
import service

FOLDER = Path(os.environ.get("SOAK_FOLDER", Path(__file__).parents[2] / "memprofiles"))
MINUTES = float(os.environ.get("SOAK_MINUTES") or 30)
EVERY_S = 1.0
JUDGED = 0.8  # of the time; the rest is captured with memray
PLANTED_S = 12.0
WARM_UP_S = 10.0  # of a short run: a quarter of its time would be too little
SLOW_S = 600.0

pytestmark = pytest.mark.timeout(MINUTES * 60 * 1.5 + 300)


def test_no_memory_growth_over_time() -> None:
    logging.getLogger("graphflow").setLevel(logging.CRITICAL)  # pytest keeps what is logged
    FOLDER.mkdir(exist_ok=True)
    capture = FOLDER / "soak.bin"
    load = service.Load(service.make_graph())
    with load.running():  # memray's own tables grow by what it sees, so it comes after what is judged
        samples = recording.take_samples(load.handled, MINUTES * 60 * JUDGED, EVERY_S)
        with recording.captured(capture):
            time.sleep(MINUTES * 60 * (1 - JUDGED))
    trends = growth.trends_of(samples)
    recording.write_csv(samples, FOLDER / "soak.csv")
    recording.write_plot(samples, trends, FOLDER / "soak.png")
    recording.write_flamegraph(capture)
    print(f"{samples[-1].handled:,} messages in {MINUTES:g} minutes; in {FOLDER.name}/: capture, flamegraph, CSV, plot")
    print(*trends.values(), sep="\n")
    assert samples[-1].handled > 1000 * MINUTES
    assert not [str(trend) for trend in trends.values() if trend.broken]


# Each in a process of its own: what one leaks is not to be the warm-up of the next.
PLANTED = """
import sys, time
sys.path[:0] = {path!r}
import growth, recording, service

kept = []
began = time.monotonic()

def leaky(node):
    handle = node.on_message
    def keeping(port, msg):
        {keeps}
        return handle(port, msg)
    node.on_message = keeping
    return node

load = service.Load(service.make_graph(leaky))
with load.running():
    time.sleep({warm_up})
    samples = recording.take_samples(load.handled, {seconds}, {every})
print(*[name for name, trend in growth.trends_of(samples).items() if trend.broken])
print(*growth.trends_of(samples).values(), sep="\\n", file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("keeps", "broken"),
    [
        ("len(kept)", set()),
        ("kept.append(None)", {"heap"}),  # eight bytes a message
        ("kept.append(msg)", {"rss", "blocks"}),  # the heap has the list alone, which grows by leaps
    ],
    ids=["nothing", "eight bytes", "messages"],
)
def test_a_planted_leak_makes_it_fail(keeps: str, broken: set[str]) -> None:
    result = run_planted(keeps, PLANTED_S, PLANTED_S / 120)
    found = set(result.stdout.split()) - {"rate"}
    assert found >= broken, result.stderr
    assert bool(found) is bool(broken), result.stderr


@pytest.mark.skipif(MINUTES * 60 < SLOW_S, reason="it takes ten minutes, and SOAK_MINUTES are fewer")
def test_a_leak_of_one_block_a_second_is_seen_within_ten_minutes() -> None:
    keeps = "kept.append(object()) if len(kept) < time.monotonic() - began else None"
    result = run_planted(keeps, SLOW_S - WARM_UP_S, EVERY_S)
    print(result.stderr)
    assert set(result.stdout.split()) - {"rate"} == {"blocks"}, result.stderr


def run_planted(keeps: str, seconds: float, every: float) -> subprocess.CompletedProcess[Any]:
    here = Path(__file__)
    path = [str(here.parent), str(here.parents[1]), str(here.parents[2])]
    program = PLANTED.format(path=path, keeps=keeps, seconds=seconds, every=every, warm_up=WARM_UP_S)
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 120)
