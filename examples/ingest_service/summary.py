"""Text for a reader: tables, the counts of every edge, the shutdown report."""

from collections.abc import Iterable, Mapping, Sequence

from graphflow import Edge, ShutdownReport


def edges_text(edges: Iterable[Edge]) -> str:
    """Every edge: what it carried and the deepest it got."""
    rows = []
    for edge in edges:
        stats = edge.stats()
        rows.append((edge.id, stats.delivered, stats.dropped, stats.peak_depth, edge.capacity))
    return table(("edge", "delivered", "dropped", "deepest", "capacity"), rows)


def report_text(report: ShutdownReport) -> str:
    """The shutdown report, every field of it."""
    rows = [
        ("complete", _yes_no(report.complete)),
        ("timed out", _yes_no(report.timed_out)),
        ("reason", report.reason),
        ("undelivered", _listing(report.undelivered)),
        ("errors", _listing(report.error_counts)),
        ("failed sources", ", ".join(report.failed_sources) or "none"),
        ("abandoned", ", ".join(report.abandoned) or "none"),
        ("held back", _listing(report.held_back)),
        ("backing off", _listing(report.backing_off)),
    ]
    return "\n".join(f"  {name:<15} {value}" for name, value in rows)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return rows in columns as wide as they need; numbers stand at the right."""
    rows = list(rows)
    cells = [head, *([_cell(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    right = [bool(rows) and not isinstance(rows[0][n], str) for n in range(len(head))]
    lines = []
    for row in cells:
        padded = (
            cell.rjust(width) if at_right else cell.ljust(width)
            for cell, width, at_right in zip(row, widths, right, strict=True)
        )
        lines.append(("  " + "  ".join(padded)).rstrip())
    return "\n".join(lines)


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _yes_no(value: bool) -> str:
    return "yes" if value else "no"


def _listing(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name}: {count:,}" for name, count in counts.items()) or "none"
