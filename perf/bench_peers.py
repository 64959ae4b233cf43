"""The same graph on graphflow and on its peers, as a table and a picture in perf/results/.

python perf/bench_peers.py            each peer in a process of its own, ROUNDS times in turn

A hop is one message over one edge: three a message (source, map, map, sink). The fastest of the rounds counts: what
else the machine does can only slow a round down.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "results"
ROUNDS = 7
HOPS = 3
TIMEOUT_S = 120
STEPS, CLASSES = "graphflow_steps", "graphflow_classes"
PEERS = {
    "direct": "plain nested calls",
    STEPS: "graphflow, nodes from functions",
    CLASSES: "graphflow, classes",
    "bytewax_flow": "bytewax",
    "reactivex_chain": "reactivex",
    "asyncio_queues": "asyncio.Queue and tasks",
    "queue_threads": "queue.Queue and threads",
    "streamz_chain": "streamz",
    "pypeln_threads": "pypeln (threads)",
    "meridian_runtime": "meridian-runtime",
}
# (what, measured, against, at most)
TARGETS = [
    ("compiled hop / bytewax hop", STEPS, "bytewax_flow", 0.6),
    ("class hop / asyncio.Queue hop", CLASSES, "asyncio_queues", 0.25),
    ("class hop / queue.Queue hop", CLASSES, "queue_threads", 0.1),
    ("class hop / meridian-runtime hop", CLASSES, "meridian_runtime", 0.01),
]


@dataclass
class Row:
    """What came out for one peer."""

    peer: str
    name: str
    version: str = ""
    messages: int = 0
    hop_ns: float | None = None
    problem: str | None = None


def measure(peer: str) -> dict[str, object]:
    """One round of one peer."""
    path = os.pathsep.join([str(HERE.parent), str(HERE)])
    try:
        done = subprocess.run(
            [sys.executable, "-m", "peers.one", peer],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            env={**os.environ, "PYTHONPATH": path},
        )
    except subprocess.TimeoutExpired:
        return {"problem": f"did not end within {TIMEOUT_S} s"}
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        return {"problem": f"failed: {said}"}
    found: dict[str, object] = json.loads(lines[-1])
    return found


def measure_all() -> list[Row]:
    """All peers in turn, so that a slow minute of the machine's falls on all of them."""
    rows = {peer: Row(peer, name) for peer, name in PEERS.items()}
    for number in range(ROUNDS):
        print(f"round {number + 1} of {ROUNDS}", flush=True)
        for row in rows.values():
            if row.problem is None:
                note(row, measure(row.peer))
    return list(rows.values())


def note(row: Row, found: dict[str, object]) -> None:
    """Keep the fastest round, or what went wrong."""
    problem = found.get("problem")
    if problem is not None:
        row.problem, row.hop_ns = str(problem), None
        return
    row.version = str(found["version"])
    row.messages = int(str(found["messages"]))
    hop = float(str(found["seconds"])) / row.messages / HOPS * 1e9
    row.hop_ns = hop if row.hop_ns is None else min(row.hop_ns, hop)


def table(rows: list[Row]) -> list[str]:
    """The rows as Markdown, the fastest first, those without a result last."""
    hops = {row.peer: row.hop_ns for row in rows}
    lines = [
        "| peer | version | messages | ns a hop | / graphflow functions | / graphflow classes |",
        "|---|---|---|---|---|---|",
    ]
    for row in sorted(rows, key=lambda row: (row.hop_ns is None, row.hop_ns or 0)):
        if row.hop_ns is None:
            lines.append(f"| {row.name} | {row.version} | | {row.problem} | | |")
            continue
        against = [f"{row.hop_ns / base:.2f}" if (base := hops.get(each)) else "" for each in (STEPS, CLASSES)]
        lines.append(
            f"| {row.name} | {row.version} | {row.messages} | {row.hop_ns:.0f} | {against[0]} | {against[1]} |"
        )
    return lines


def targets(rows: list[Row]) -> list[str]:
    """Each target, and whether it was reached."""
    hops = {row.peer: row.hop_ns for row in rows}
    lines = ["| ratio | target | measured | |", "|---|---|---|---|"]
    for what, measured, against, most in TARGETS:
        above, below = hops.get(measured), hops.get(against)
        if above is None or below is None:
            lines.append(f"| {what} | {most} | | not measured |")
        else:
            ratio = above / below
            lines.append(f"| {what} | {most} | {ratio:.3f} | {'reached' if ratio <= most else 'missed'} |")
    return lines


def draw(rows: list[Row], path: Path) -> None:
    """Bars on a logarithmic scale, the fastest on top."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    there = sorted((row for row in rows if row.hop_ns is not None), key=lambda row: -(row.hop_ns or 0))
    values = [row.hop_ns or 0.0 for row in there]
    figure, axes = plt.subplots(figsize=(9, 0.5 * len(there) + 1.2), layout="constrained")
    colors = ["#1f6fb2" if row.peer in (STEPS, CLASSES) else "#b8bec6" for row in there]
    bars = axes.barh([row.name for row in there], values, color=colors)
    axes.bar_label(bars, [f"{value:,.0f} ns" for value in values], padding=4)
    axes.set_xscale("log")
    axes.set_xlim(10, max(values) * 6)
    axes.set_xlabel("nanoseconds a hop, source - map - map - sink (shorter is faster; logarithmic)")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)
    plt.close(figure)


def main() -> None:
    """Measure and write."""
    rows = measure_all()
    machine = (
        f"{os.cpu_count()} cores, {platform.system()}, {platform.python_implementation()} {platform.python_version()}"
    )
    text = [
        "# graphflow and its peers",
        "",
        f"{machine}; the fastest of {ROUNDS} rounds; made by `make bench-peers`. What is compared, and what is unfair",
        "about it: [perf/peers/README.md](../peers/README.md).",
        "",
        "![nanoseconds a hop](peers.svg)",
        "",
        *table(rows),
        "",
        *targets(rows),
        "",
    ]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "peers.md").write_text("\n".join(text))
    (RESULTS / "peers.json").write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    draw(rows, RESULTS / "peers.svg")
    print("\n".join(text[7:]))


if __name__ == "__main__":
    main()
