"""How much faster more workers are, for nodes that let go of the GIL: hashing, compression, matrices.

python perf/bench_scaling.py

Beside each stand bare threads that do the same work from a shared counter, without edges: what this machine can give at
all. All take turns, ROUNDS times, and the fastest of each counts. Nodes that compute in pure Python are measured where
there is no GIL.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import platform
import sysconfig
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # else each product is spread over the cores already
os.environ.setdefault("OMP_NUM_THREADS", "1")

from graphflow import Scheduler, SchedulerConfig, Subgraph
from graphflow.nodes import map_node, sink_node, source_node

RESULTS = Path(__file__).parent / "results"
ROUNDS = 5
TARGET = 1.9
HAS_GIL = not sysconfig.get_config_var("Py_GIL_DISABLED")

Work = Callable[[int], Any]
BLOCK = bytes(range(256)) * 4096  # a megabyte
TEXT = BLOCK[:65_536]


def hashing(number: int) -> str:
    """SHA-256 of a megabyte: half a millisecond to three."""
    return hashlib.sha256(BLOCK).hexdigest()


def compression(number: int) -> int:
    """zlib over 64 KB."""
    return len(zlib.compress(TEXT, 6))


def python(number: int) -> int:
    """Arithmetic in pure Python."""
    total = number
    for step in range(10_000):
        total = (total * 31 + step) % 1_000_003
    return total


def matrices() -> Work | None:
    """Products of matrices, where numpy is installed."""
    try:
        import numpy as np
    except ImportError:
        return None
    matrix = np.random.default_rng(1).random((256, 256))
    return lambda _: float((matrix @ matrix)[0, 0])


def with_workers(workers: int, work: Work, count: int) -> tuple[float, list[Any]]:
    """Two nodes in a row that both do the work, so that two workers have something to do."""
    results: list[Any] = []

    def second(first: Any) -> tuple[Any, Any]:
        return first, work(0)

    graph = Subgraph.from_nodes(
        "scaling",
        [source_node(range(count)), map_node(work, "first"), map_node(second, "second"), sink_node(results.append)],
    )
    for source, target in (("source", "first"), ("first", "second"), ("second", "append")):
        graph.connect((source, "out"), (target, "in"), capacity=64)
    scheduler = Scheduler(SchedulerConfig(workers=workers))
    scheduler.register(graph)
    began = time.perf_counter()
    scheduler.run()
    return time.perf_counter() - began, results


def with_threads(threads: int, work: Work, count: int) -> float:
    """The same amount of work by bare threads."""
    numbers = itertools.count()

    def run() -> None:
        while next(numbers) < 2 * count:
            work(0)

    members = [threading.Thread(target=run) for _ in range(threads)]
    began = time.perf_counter()
    for member in members:
        member.start()
    for member in members:
        member.join()
    return time.perf_counter() - began


def measure(work: Work, count: int) -> dict[str, float]:
    """The fastest seconds of each way."""
    best: dict[str, float] = {}
    expected = None
    for _ in range(ROUNDS):
        for workers in (1, 2, 4):
            seconds, results = with_workers(workers, work, count)
            expected = expected or results
            if results != expected or len(results) != count:
                raise AssertionError(f"{workers} workers came to another result")
            best[f"{workers} workers"] = min(seconds, best.get(f"{workers} workers", seconds))
        for threads in (1, 2):
            seconds = with_threads(threads, work, count)
            best[f"{threads} threads"] = min(seconds, best.get(f"{threads} threads", seconds))
    return best


def main() -> None:
    """Measure and write a table."""
    cases: dict[str, tuple[Work, int]] = {"SHA-256 of 1 MB": (hashing, 500), "zlib of 64 KB": (compression, 1_000)}
    product = matrices()
    if product is not None:
        cases["numpy 256x256 product"] = (product, 500)
    if not HAS_GIL:
        cases["pure Python"] = (python, 100)
    interpreter = f"{platform.python_implementation()} {platform.python_version()}"
    machine = f"{os.cpu_count()} cores, {platform.system()}, {interpreter}{'' if HAS_GIL else ' without the GIL'}"
    lines = [
        "# More workers",
        "",
        f"{machine}; made by `make bench-scaling`. Two nodes in a row each do the work. The figures are rates over",
        f"that of one worker, and of bare threads over one bare thread; the fastest of {ROUNDS} runs each.",
        "",
        f"| work | 1 worker | 2 workers | 4 workers | 2 bare threads | 2 workers at least {TARGET} |",
        "|---|---|---|---|---|---|",
    ]
    for name, (work, count) in cases.items():
        best = measure(work, count)
        rates = {key: best["1 workers"] / best[key] for key in ("2 workers", "4 workers")}
        bare = best["1 threads"] / best["2 threads"]
        verdict = "reached" if rates["2 workers"] >= TARGET else "missed"
        lines.append(
            f"| {name} | {2 * count / best['1 workers']:.0f} a second | {rates['2 workers']:.2f} | "
            f"{rates['4 workers']:.2f} | {bare:.2f} | {verdict} |"
        )
    if product is None:
        lines.append("| numpy | not installed | | | | |")
    if HAS_GIL:
        lines.append("| pure Python | needs an interpreter without the GIL (`make test-ft` measures it) | | | | |")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "scaling.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines[5:]))


if __name__ == "__main__":
    main()
