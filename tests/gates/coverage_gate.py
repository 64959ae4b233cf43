"""Holds coverage to its floors: python tests/gates/coverage_gate.py coverage.json

Fails, too, when a .pyx file of the tree is missing from the report: that happens without a word
when the build was not traced, and the rest then looks complete.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

CORE_PERCENT_MIN = 90.0
TOTAL_PERCENT_MIN = 80.0


def percent(summaries: list[dict[str, Any]]) -> float:
    """Return the share of statements that ran, over several files."""
    statements: int = sum(summary["num_statements"] for summary in summaries)
    covered: int = sum(summary["covered_lines"] for summary in summaries)
    return 100.0 * covered / max(statements, 1)


def complaints(report: dict[str, Any], wanted: set[str]) -> list[str]:
    """Print the figures and return what is wrong with them."""
    summaries = {Path(name).as_posix(): entry["summary"] for name, entry in report["files"].items()}
    core = {name: found for name, found in summaries.items() if name.endswith(".pyx")}
    shown = {name for name, found in core.items() if found["num_statements"]}
    core_percent = percent(list(core.values()))
    total_percent = percent(list(summaries.values()))
    print(f"core  {core_percent:.1f} % (at least {CORE_PERCENT_MIN})")
    print(f"total {total_percent:.1f} % (at least {TOTAL_PERCENT_MIN})")

    wrong = [f"{name} is missing from the report: was it traced?" for name in wanted - shown]
    if core_percent < CORE_PERCENT_MIN:
        wrong.append("the core's coverage is under its floor")
    if total_percent < TOTAL_PERCENT_MIN:
        wrong.append("the total coverage is under its floor")
    return sorted(wrong)


def main() -> int:
    """Judge the report named on the command line."""
    report = json.loads(Path(sys.argv[1]).read_text())
    wanted = {path.as_posix() for path in Path("graphflow").rglob("*.pyx")}
    wrong = complaints(report, wanted)
    for line in wrong:
        print(f"coverage gate: {line}", file=sys.stderr)
    return 1 if wrong or not wanted else 0


if __name__ == "__main__":
    sys.exit(main())
