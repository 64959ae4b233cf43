"""The tables, and the one function that writes to them."""

import sqlite3
from dataclasses import astuple, dataclass, field
from pathlib import Path

from examples.ingest_service.model import FIELDS, CarrierHour, Flight, Reject

# A reader that holds the database keeps us waiting this long before the write fails.
LOCK_WAIT_S = 2.0

TABLES = f"""
CREATE TABLE IF NOT EXISTS flights (id INTEGER PRIMARY KEY, {", ".join(FIELDS)});
CREATE TABLE IF NOT EXISTS rejects (
    id INTEGER PRIMARY KEY, line TEXT, reason TEXT, detail TEXT,
    stored_at TEXT DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE IF NOT EXISTS carrier_hour_sums (
    carrier TEXT, hour INTEGER, scheduled INTEGER, cancelled INTEGER, departed INTEGER,
    dep_delay_minutes INTEGER, PRIMARY KEY (carrier, hour)
);
CREATE VIEW IF NOT EXISTS carrier_hour AS
    SELECT carrier, hour, scheduled, cancelled,
           round(1.0 * dep_delay_minutes / departed, 1) AS mean_dep_delay
    FROM carrier_hour_sums;
"""

INSERT_FLIGHT = f"INSERT INTO flights ({', '.join(FIELDS)}) VALUES ({', '.join('?' * len(FIELDS))})"
INSERT_REJECT = "INSERT INTO rejects (line, reason, detail) VALUES (?, ?, ?)"
ADD_SUMS = """
INSERT INTO carrier_hour_sums VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (carrier, hour) DO UPDATE SET
    scheduled = scheduled + excluded.scheduled,
    cancelled = cancelled + excluded.cancelled,
    departed = departed + excluded.departed,
    dep_delay_minutes = dep_delay_minutes + excluded.dep_delay_minutes
"""


@dataclass(slots=True)
class Batch:
    """Rows that wait to be written together."""

    flights: list[Flight] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    sums: list[CarrierHour] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.flights) + len(self.rejects) + len(self.sums)


def connect(path: Path) -> sqlite3.Connection:
    """Open a database whose readers do not hold up the writer."""
    connection = sqlite3.connect(path, timeout=LOCK_WAIT_S)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
    except BaseException:
        connection.close()
        raise
    return connection


def prepare(path: Path) -> None:
    """Create the tables where they are missing; raise sqlite3.Error for a file we cannot use."""
    connection = connect(path)
    try:
        connection.executescript(TABLES)
        # Tables of the same name that another program made show themselves now, not at a write.
        connection.execute(f"SELECT {', '.join(FIELDS)} FROM flights LIMIT 0")
        connection.execute("SELECT line, reason, detail FROM rejects LIMIT 0")
        connection.execute("SELECT * FROM carrier_hour LIMIT 0")
    finally:
        connection.close()


def store(connection: sqlite3.Connection, batch: Batch) -> None:
    """Write the whole batch, or raise sqlite3.Error and write nothing of it."""
    with connection:
        connection.executemany(INSERT_FLIGHT, map(_flight_row, batch.flights))
        connection.executemany(INSERT_REJECT, map(astuple, batch.rejects))
        connection.executemany(ADD_SUMS, map(astuple, batch.sums))


def _flight_row(flight: Flight) -> list[object]:
    row = [getattr(flight, name) for name in FIELDS[:-1]]
    row.append(flight.time_hour.strftime("%Y-%m-%dT%H:%M:%SZ"))
    return row
