"""Verdicts as a person reads them, and as files: JSON, CSV and Markdown."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from verdicts import Verdict

HEAD = ("figure", "baseline", "now", "change", "limit", "spread", "verdict")


def rows(verdicts: Sequence[Verdict]) -> list[tuple[str, ...]]:
    """The cells of the table."""
    return [
        (
            each.name,
            f"{each.baseline:.4g}",
            f"{each.now:.4g}",
            f"{each.change:+.1%}",
            "" if each.limit is None else f"x{each.limit:.3g}",
            f"{each.spread:.1%}",
            each.verdict,
        )
        for each in verdicts
    ]


def text(verdicts: Sequence[Verdict]) -> str:
    """The table in columns."""
    cells = [HEAD, *rows(verdicts)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(HEAD))]
    lines = [
        "  ".join(
            cell.ljust(width) if column in (0, len(HEAD) - 1) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def write(folder: Path, verdicts: Sequence[Verdict]) -> None:
    """bench.json, bench.csv and bench.md."""
    folder.mkdir(parents=True, exist_ok=True)
    found = [{**asdict(each), "change": each.change} for each in verdicts]
    (folder / "bench.json").write_text(json.dumps(found, indent=1) + "\n")
    with (folder / "bench.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEAD)
        writer.writerows(rows(verdicts))
    lines = [HEAD, tuple("---" for _ in HEAD), *rows(verdicts)]
    (folder / "bench.md").write_text("".join(f"| {' | '.join(line)} |\n" for line in lines))
