"""Simulates many members of the family, and fails at the first that breaks a rule.

    python tests/sim/run.py --seeds 4000        a range of seeds, from a drawn start or from --start
    python tests/sim/run.py --seed 17           one of them, with its trace

One seed in TWICE is run twice: the traces have to be equal.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import logging
import multiprocessing
import random
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]

import family  # noqa: E402

from graphflow.testing import Simulation, SimulationFailed  # noqa: E402

TWICE = 20


def verdict(seed: int) -> tuple[int, int, str, str]:
    """(seed, steps, trace hash, what is wrong or "")."""
    try:
        result = family.run(seed)
        if seed % TWICE == 0:
            again = family.run(seed)
            if again.trace_hash != result.trace_hash:
                return seed, result.steps, "", f"seed {seed} made two different runs\n{first_difference(result, again)}"
    except SimulationFailed as failure:
        return seed, 0, "", str(failure)
    return seed, result.steps, result.trace_hash, ""


def first_difference(one: Simulation, other: Simulation) -> str:
    """The first step that two traces do not share."""
    pairs = itertools.zip_longest(one.trace, other.trace)
    return next((f"  {a}\n  {b}" for a, b in pairs if a != b), "  the counts differ")


def run_range(start: int, count: int, processes: int) -> int:
    """Simulate a range of seeds; the exit status."""
    logging.getLogger("graphflow").setLevel(logging.CRITICAL)  # faults are meant to happen
    began = time.monotonic()
    steps = done = 0
    hashes: set[str] = set()
    gc.freeze()  # each simulation begins with a collection, which need not look through all that was imported
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        for seed, taken, trace_hash, wrong in pool.imap_unordered(verdict, range(start, start + count), chunksize=16):
            if wrong:
                print(f"{wrong}\nfailed at seed {seed}, after {done} others", flush=True)
                pool.terminate()
                return 1
            done += 1
            steps += taken
            hashes.add(trace_hash)
    seconds = time.monotonic() - began
    print(
        f"{done} seeds from {start}: {steps} steps, {len(hashes)} different runs, {done // TWICE} of them twice; "
        f"{seconds:.1f} s ({done / seconds:.0f} a second)"
    )
    return 0


def show(seed: int) -> int:
    """Run one seed, with its trace."""
    try:
        result = family.run(seed)
    except SimulationFailed as failure:
        print(*failure.trace, sep="\n")
        print(failure)
        return 1
    print(*result.trace, sep="\n")
    print(f"seed {seed}: {result.steps} steps, {result.trace_hash}\n{result.report}")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, help="run this one, and show its trace")
    parser.add_argument("--seeds", type=int, default=4000, help="how many (default 4000)")
    parser.add_argument("--start", type=int, help="the first of them; else drawn")
    parser.add_argument("--processes", type=int, default=multiprocessing.cpu_count())
    asked = parser.parse_args()
    if asked.seed is not None:
        return show(asked.seed)
    start = random.SystemRandom().randrange(2**31) if asked.start is None else asked.start
    return run_range(start, asked.seeds, asked.processes)


if __name__ == "__main__":
    sys.exit(main())
