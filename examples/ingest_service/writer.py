"""The node that owns the database, and the SQL that it needs."""

import logging
import sqlite3
import time
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any

from examples.ingest_service.flights import Flight
from examples.ingest_service.graph import CarrierHour, Reject
from graphflow import Message, Node, PortSpec

LOCK_WAIT_S = 2.0  # a write waits this long for another program that holds the database, then fails
RETRY_S = 0.2

FIELDS = ", ".join(Flight.model_fields)
TABLES = f"""
CREATE TABLE IF NOT EXISTS flights (id INTEGER PRIMARY KEY, {FIELDS});
CREATE TABLE IF NOT EXISTS rejects (
    id INTEGER PRIMARY KEY, line TEXT, reason TEXT, detail TEXT, stored_at TEXT DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE IF NOT EXISTS carrier_hour (
    carrier TEXT, hour INTEGER, scheduled INTEGER, cancelled INTEGER, delay_minutes INTEGER,
    PRIMARY KEY (carrier, hour)
);
"""
INSERT_FLIGHT = f"INSERT INTO flights ({FIELDS}) VALUES ({', '.join('?' * len(Flight.model_fields))})"
INSERT_REJECT = "INSERT INTO rejects (line, reason, detail) VALUES (?, ?, ?)"
ADD_SUMS = """
INSERT INTO carrier_hour VALUES (?, ?, ?, ?, ?)
ON CONFLICT (carrier, hour) DO UPDATE SET
    scheduled = scheduled + excluded.scheduled,
    cancelled = cancelled + excluded.cancelled,
    delay_minutes = delay_minutes + excluded.delay_minutes
"""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Batch:
    """Rows that wait to be written together."""

    flights: list[Flight] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    sums: list[CarrierHour] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.flights) + len(self.rejects) + len(self.sums)


def connect(path: Path) -> sqlite3.Connection:
    """Open the database and make the tables that are missing; raise sqlite3.Error for a file we cannot use."""
    connection = sqlite3.connect(path, timeout=LOCK_WAIT_S)
    try:
        connection.execute("PRAGMA journal_mode = WAL")  # readers do not hold up the writer
        connection.executescript(TABLES)
        # Tables of the same name that another program made show themselves now, not at a write.
        for sql in (INSERT_FLIGHT, INSERT_REJECT, ADD_SUMS):
            connection.execute(f"EXPLAIN {sql}", [None] * sql.count("?"))
    except BaseException:
        connection.close()
        raise
    return connection


def store(connection: sqlite3.Connection, batch: Batch) -> None:
    """Write the whole batch, or raise sqlite3.Error and write nothing of it."""
    with connection:
        connection.executemany(INSERT_FLIGHT, map(_flight_row, batch.flights))
        connection.executemany(INSERT_REJECT, map(astuple, batch.rejects))
        connection.executemany(ADD_SUMS, map(astuple, batch.sums))


def _flight_row(flight: Flight) -> list[object]:
    row = [getattr(flight, name) for name in Flight.model_fields]
    row[-1] = flight.time_hour.strftime("%Y-%m-%dT%H:%M:%SZ")
    return row


class SQLiteWriter(Node):
    """Stores flights, rejects and sums in batches, each batch in one transaction.

    A batch is written when it has `batch_rows` rows, at each tick, on the command "flush", and at the end. Rows that
    could not be written stay for the next try. A full batch is tried until it is written: meanwhile the edges fill
    and the senders are held back.

    The node has a thread of its own (`dedicated`), because a SQLite connection belongs to the thread that opened it and
    a write may wait for the disk.
    """

    inputs = (
        PortSpec("flights", Flight),
        PortSpec("rejects", Reject),
        PortSpec("sums", CarrierHour),
        PortSpec("commands"),
    )
    dedicated = True

    def __init__(self, path: Path, batch_rows: int, flush_interval_ms: int) -> None:
        super().__init__("writer")
        self.tick_interval_ms = flush_interval_ms
        self._path = path
        self._batch_rows = batch_rows
        self._connection: sqlite3.Connection | None = None
        self._batch = Batch()
        # Written by the node's thread alone; others read them to show them.
        self.flights_stored = 0
        self.rejects_stored = 0
        self.failed_writes = 0

    @property
    def pending(self) -> int:
        """Rows taken and not yet stored; after a stop, rows that could not be stored."""
        return len(self._batch)

    def on_start(self) -> None:
        """Open the database."""
        self._connection = connect(self._path)

    def on_message(self, port: str, msg: Message) -> None:
        """Take a row, or obey a command."""
        if msg.is_control():
            if msg.payload != "flush":
                raise ValueError(f"the writer knows the command 'flush', not {msg.payload!r}")
            self._write()
            return
        rows: list[Any] = getattr(self._batch, port)
        rows.append(msg.payload)
        self.buffered = len(self._batch)  # rows that stay behind are in the report
        while len(self._batch) >= self._batch_rows:
            try:
                self._write()
            except sqlite3.Error as error:
                log.warning("%d rows wait, senders are held back: %s", len(self._batch), error)
                time.sleep(RETRY_S)

    def on_tick(self) -> None:
        """Store what has waited for a tick."""
        self._write()

    def on_drain(self) -> None:
        """Store the rest: no more rows will come."""
        self._write()

    def on_stop(self) -> None:
        """Close the database; a last try for rows that a failed or a skipped drain has left."""
        if self._connection is None:
            return
        try:
            self._write()
        finally:
            self._connection.close()
            self._connection = None

    def _write(self) -> None:
        if not self._batch or self._connection is None:
            return
        try:
            store(self._connection, self._batch)
        except sqlite3.Error:
            self.failed_writes += 1
            raise
        self.flights_stored += len(self._batch.flights)
        self.rejects_stored += len(self._batch.rejects)
        self._batch = Batch()
        self.buffered = 0
