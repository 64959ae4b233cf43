"""pyperf's result files: run the benchmark scripts, read a file, strip one of what tells about the machine."""

from __future__ import annotations

import itertools
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyperf

HERE = Path(__file__).parent
SCRIPTS = ("bench_edge.py", "bench_scheduler.py")
SHOWN_PROCESSES = 3
# What a baseline keeps of pyperf's metadata: what the results mean, and nothing of where they were made.
KEPT = ("name", "unit", "loops", "hold", "graphflow_build", "python_version", "python_implementation", "perf_version")


class Unusable(Exception):
    """A file, or a pair of files, that no verdict can be made of. The message says what to do."""


@dataclass(frozen=True)
class Figure:
    """What a file says of one benchmark."""

    name: str
    value: float  # the median over the processes of each one's median
    spread: float  # the median distance from it, as a share
    hold: str
    build: str
    python: str  # implementation and minor version


def run(output: Path, processes: int, values: int, only: Iterable[str] = ()) -> None:
    """Run the scripts, or of them the figures in `only`, into one file."""
    output.parent.mkdir(parents=True, exist_ok=True)
    parts = []
    for script, kind in itertools.product(SCRIPTS, ("held", "shown")):
        part = output.with_name(f"{output.stem}.{Path(script).stem}.{kind}.json")
        part.unlink(missing_ok=True)
        counts = (processes, values) if kind == "held" else (min(processes, SHOWN_PROCESSES), 1)
        _run_script(script, kind, counts, only, part)
        if part.exists():
            parts.append(part)
    merged = [benchmark for part in parts for benchmark in _benchmarks(json.loads(part.read_text()))]
    output.write_text(json.dumps({"version": "1.0", "benchmarks": merged}))
    for part in parts:
        part.unlink()


def _benchmarks(content: dict[str, Any]) -> list[dict[str, Any]]:
    """Those of a file, each with the metadata that pyperf keeps once for all of them."""
    shared = content.get("metadata", {})
    return [{**each, "metadata": {**shared, **each.get("metadata", {})}} for each in content["benchmarks"]]


def _run_script(script: str, kind: str, counts: tuple[int, int], only: Iterable[str], part: Path) -> None:
    command = [sys.executable, str(HERE / script), "--quiet", "--output", str(part), "--warmups", "1"]
    command += ["--processes", str(counts[0]), "--values", str(counts[1]), "--kind", kind, "--only", ",".join(only)]
    command += ["--inherit-environ", "PYTHONPATH,GRAPHFLOW_BENCH_PLANT,PYTHONHASHSEED"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parent), str(HERE)])}
    done = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL)
    if done.returncode:
        raise Unusable(f"{script} ended with {done.returncode}; run it by hand: python perf/{script} --fast")


def load(path: Path) -> dict[str, Figure]:
    """The figures in a file; Unusable where it is none of ours."""
    try:
        suite = pyperf.BenchmarkSuite.load(str(path))
    except (OSError, ValueError, KeyError) as error:
        raise Unusable(f"{path} cannot be read as a pyperf file ({error}); make it anew") from None
    figures = {}
    for benchmark in suite.get_benchmarks():
        figure = _figure(benchmark)
        if "?" in (figure.hold, figure.build) or "?" in figure.python:
            raise Unusable(f"{path}: {figure.name} does not say what it is and was measured on; make it anew")
        figures[figure.name] = figure
    if not figures:
        raise Unusable(f"{path} holds no figure; make it anew")
    return figures


def _figure(benchmark: Any) -> Figure:
    metadata = benchmark.get_metadata()
    medians = [statistics.median(run.values) for run in benchmark.get_runs() if run.values]
    value = statistics.median(medians)
    spread = statistics.median(abs(each - value) for each in medians) / value if value else 0.0
    version = ".".join(str(metadata.get("python_version", "?")).split()[0].split(".")[:2])
    python = f"{metadata.get('python_implementation', '?')} {version}"
    return Figure(
        benchmark.get_name(), value, spread, metadata.get("hold", "?"), metadata.get("graphflow_build", "?"), python
    )


def strip(path: Path, output: Path) -> None:
    """Copy a file without what tells about the machine and the day it was made on."""
    content = json.loads(path.read_text())
    benchmarks = _benchmarks(content)
    for benchmark in benchmarks:
        benchmark["metadata"] = _kept(benchmark["metadata"], benchmark["runs"])
        benchmark["runs"] = [{"values": run["values"]} for run in benchmark["runs"] if run.get("values")]
    slim = {"version": content["version"], "benchmarks": benchmarks}
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(slim, indent=1, sort_keys=True) + "\n")


def _kept(metadata: dict[str, Any], runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Of a benchmark's metadata and those that all its runs share."""
    everything = {**runs[0].get("metadata", {}), **metadata}
    return {key: everything[key] for key in KEPT if key in everything}
