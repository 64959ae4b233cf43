"""Text for a terminal: one line that shows progress, and tables."""

import time
from collections.abc import Iterable, Sequence
from typing import TextIO

LINES_WITHOUT_TERMINAL = 4  # a log file gets this many lines of progress


class Progress:
    """Shows how far a known amount of work has come: one line that changes, or a few that stay."""

    def __init__(self, total: int, stream: TextIO) -> None:
        self._total = max(total, 1)
        self._stream = stream
        self._changes = stream.isatty()
        self._steps_shown = 0
        self._began = time.monotonic()

    def show(self, done: int, note: str) -> None:
        """Show the state, where the last one was long enough ago."""
        step = LINES_WITHOUT_TERMINAL * done // self._total
        if self._changes:
            bar = "#" * (24 * done // self._total)
            self._write(f"\r\x1b[K  [{bar:<24}] {self._text(done, note)}")
        elif step > self._steps_shown:
            self._steps_shown = step
            self._write(f"  {self._text(done, note)}\n")

    def end(self) -> None:
        """Leave the line as it stands."""
        if self._changes:
            self._write("\n")

    def _text(self, done: int, note: str) -> str:
        seconds = time.monotonic() - self._began
        share = done / self._total
        return f"{share:4.0%}  {done:,} of {self._total:,} lines  {seconds:.1f} s  {note}"

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def table(head: Sequence[str], rows: Iterable[Sequence[object]], indent: str = "  ") -> str:
    """Return rows in columns as wide as they need; numbers stand at the right."""
    rows = list(rows)
    cells = [list(head)] + [[_cell(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    right = [
        bool(rows) and all(isinstance(value, int | float | None) for value in column)
        for column in zip(*rows, strict=True)
    ] or [False] * len(head)
    lines = []
    for row in cells:
        padded = (
            cell.rjust(width) if at_right else cell.ljust(width)
            for cell, width, at_right in zip(row, widths, right, strict=True)
        )
        lines.append((indent + "  ".join(padded)).rstrip())
    return "\n".join(lines)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else str(value)
