"""The table of peers is complete, whatever becomes of a peer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import bench_peers
import pytest
from bench_peers import CLASSES, PEERS, STEPS, Row, note, table, targets

PERF = Path(bench_peers.__file__).parent


def test_the_fastest_round_counts() -> None:
    row = Row("direct", "plain calls")
    for seconds in (3.0, 1.5, 2.0):
        note(row, {"problem": None, "seconds": seconds, "messages": 500_000_000, "version": "1"})
    assert row.hop_ns == pytest.approx(1.0)


def test_every_peer_has_a_row_and_says_why_it_has_no_figure() -> None:
    rows = [Row(peer, name, "1.0", 100, 50.0) for peer, name in PEERS.items()]
    note(rows[3], {"problem": "not installed (no module)"})
    rows[0].hop_ns = 10.0
    lines = table(rows)
    assert len(lines) == 2 + len(PEERS)
    assert lines[2].startswith(f"| {rows[0].name} ")
    assert lines[-1] == f"| {rows[3].name} | 1.0 | | not installed (no module) | | |"
    assert "| 50 | 1.00 | 1.00 |" in lines[3]


def test_targets_are_reached_missed_or_not_measured() -> None:
    values = {STEPS: 50.0, CLASSES: 100.0, "bytewax_flow": 100.0, "asyncio_queues": 200.0, "queue_threads": 5000.0}
    rows = [Row(peer, name, hop_ns=values.get(peer)) for peer, name in PEERS.items()]
    ends = [line.rsplit("|", 2)[1].strip() for line in targets(rows)[2:]]
    assert ends == ["reached", "missed", "reached", "not measured"]


def test_a_peer_that_is_not_installed_or_breaks_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "No module named" in str(bench_peers.measure("no_such_peer")["problem"])
    monkeypatch.setattr(bench_peers, "TIMEOUT_S", 0.001)
    assert bench_peers.measure("direct")["problem"] == "did not end within 0.001 s"


@pytest.mark.parametrize("peer", ["direct", STEPS, CLASSES, "queue_threads", "asyncio_queues"])
def test_a_peer_comes_to_the_right_sum(peer: str) -> None:
    """Those that need nothing installed."""
    program = f"from peers import expected, {peer}; seconds, total = {peer}.run(500); assert total == expected(500)"
    environment = {**os.environ, "PYTHONPATH": f"{PERF.parent}:{PERF}"}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment, timeout=60)


def test_the_committed_results_have_every_peer() -> None:
    found = json.loads((PERF / "results" / "peers.json").read_text())
    assert [row["peer"] for row in found] == list(PEERS)
    assert all(row["hop_ns"] for row in found if row["problem"] is None)
