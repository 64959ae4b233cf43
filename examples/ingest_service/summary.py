"""What is printed at the end: a look into the database, the edges, the shutdown report."""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from examples.ingest_service.terminal import table
from graphflow import Edge, ShutdownReport

SAMPLE_FLIGHTS = """
SELECT printf('%d-%02d-%02d', year, month, day), carrier || ' ' || flight, origin, dest,
       printf('%02d:%02d', hour, minute), dep_delay, distance
FROM flights WHERE id > ? ORDER BY dep_delay DESC LIMIT 5
"""
BUSIEST_HOURS = """
SELECT carrier, printf('%02d:00', hour), scheduled, cancelled, mean_dep_delay
FROM carrier_hour ORDER BY scheduled DESC, carrier, hour LIMIT 5
"""


class Database:
    """A reader of what the service has stored since this object was made."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._flights_before = self._last_id("flights")
        self._rejects_before = self._last_id("rejects")

    def flights(self) -> int:
        """How many flights have been stored."""
        rows = self._query("SELECT count(*) FROM flights WHERE id > ?", self._flights_before)
        return int(rows[0][0])

    def rejects(self) -> Counter[str]:
        """How many lines have been rejected, by reason."""
        sql = "SELECT reason, count(*) FROM rejects WHERE id > ? GROUP BY reason ORDER BY reason"
        return Counter(dict(self._query(sql, self._rejects_before)))

    def cancelled(self) -> int:
        """How many of the flights never left."""
        sql = "SELECT count(*) FROM flights WHERE id > ? AND dep_time IS NULL"
        return int(self._query(sql, self._flights_before)[0][0])

    def counted(self) -> int:
        """How many flights the sums of all carriers and hours hold, since the file was made."""
        return int(self._query("SELECT total(scheduled) FROM carrier_hour")[0][0])

    def flights_ever(self) -> int:
        """How many flights the file holds, of earlier runs too."""
        return int(self._query("SELECT count(*) FROM flights")[0][0])

    def sample_text(self) -> str:
        """The flights that left latest of all."""
        head = ("date", "flight", "from", "to", "due", "delay", "miles")
        return table(head, self._query(SAMPLE_FLIGHTS, self._flights_before))

    def hours_text(self) -> str:
        """The busiest hours."""
        head = ("carrier", "hour", "scheduled", "cancelled", "mean delay")
        return table(head, self._query(BUSIEST_HOURS))

    def _last_id(self, name: str) -> int:
        return int(self._query(f"SELECT coalesce(max(id), 0) FROM {name}")[0][0])

    def _query(self, sql: str, *arguments: object) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self._path)) as connection:
            return connection.execute(sql, arguments).fetchall()


def rejects_text(rejects: Counter[str]) -> str:
    """Reasons and how often each was found, the commonest first."""
    return table(("reason", "lines"), rejects.most_common())


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
    ]
    return "\n".join(f"  {name:<15} {value}" for name, value in rows)


def _yes_no(value: bool) -> str:
    return "yes" if value else "no"


def _listing(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name}: {count:,}" for name, count in counts.items()) or "none"
