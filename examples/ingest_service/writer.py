"""The node that owns the database."""

import contextlib
import logging
import sqlite3
import time
from pathlib import Path
from typing import Any

from examples.ingest_service.database import Batch, connect, store
from examples.ingest_service.model import CarrierHour, Flight, Reject
from graphflow import Message, Node, PortSpec

log = logging.getLogger(__name__)


class SQLiteWriter(Node):
    """Stores flights, rejects and sums in batches, each batch in one transaction.

    A batch is written when it has `batch_rows` rows, at each tick, on the command "flush", and at
    the end. If the write fails the error is the node's own (counted, logged) and the rows stay for
    the next try. With `pending_rows_max` rows waiting the writer stays in its hook and tries until
    it succeeds: its edges fill, and the senders are held back.

    It has a thread of its own (`dedicated`), because a SQLite connection belongs to the thread that
    opened it and a write may wait for the disk.
    """

    inputs = (
        PortSpec("flights", Flight),
        PortSpec("rejects", Reject),
        PortSpec("sums", CarrierHour),
        PortSpec("commands"),
    )
    dedicated = True

    def __init__(
        self,
        path: Path,
        *,
        batch_rows: int = 500,
        flush_interval_ms: int = 200,
        pending_rows_max: int = 20_000,
        retry_s: float = 0.5,
    ) -> None:
        super().__init__("writer")
        if not 1 <= batch_rows <= pending_rows_max:
            raise ValueError(f"batch_rows must be from 1 to pending_rows_max ({pending_rows_max}), not {batch_rows}")
        self.tick_interval_ms = flush_interval_ms
        self._path = path
        self._batch_rows = batch_rows
        self._pending_rows_max = pending_rows_max
        self._retry_s = retry_s
        self._retry_at = 0.0  # time.monotonic(); no write before it, after one has failed
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
            self._obey(msg.payload)
            return
        self._wait_for_room()
        rows: list[Any] = getattr(self._batch, port)
        rows.append(msg.payload)
        if len(self._batch) >= self._batch_rows and time.monotonic() >= self._retry_at:
            self._flush()

    def on_tick(self) -> None:
        """Store what has waited for a tick."""
        if time.monotonic() >= self._retry_at:
            self._flush()

    def on_drain(self) -> None:
        """Store the rest: no more rows will come."""
        self._flush()

    def on_stop(self) -> None:
        """Try once more what could not be stored, and close the database."""
        if self._connection is None:
            return
        try:
            self._flush()
        except sqlite3.Error as error:
            log.error("%d rows could not be stored in %s: %s", self.pending, self._path, error)
        finally:
            self._connection.close()
            self._connection = None

    def _obey(self, command: Any) -> None:
        if command != {"command": "flush"}:
            raise ValueError(f"the writer knows the command 'flush', not {command!r}")
        self._flush()

    def _wait_for_room(self) -> None:
        if len(self._batch) < self._pending_rows_max:
            return
        log.error("%d rows wait for the database; senders are held back", len(self._batch))
        while self._batch:
            time.sleep(max(0.0, self._retry_at - time.monotonic()))
            with contextlib.suppress(sqlite3.Error):  # counted in failed_writes
                self._flush()
        log.warning("the database takes rows again")

    def _flush(self) -> None:
        if not self._batch or self._connection is None:
            return
        try:
            store(self._connection, self._batch)
        except sqlite3.Error:
            self.failed_writes += 1
            self._retry_at = time.monotonic() + self._retry_s
            raise
        self._retry_at = 0.0
        self.flights_stored += len(self._batch.flights)
        self.rejects_stored += len(self._batch.rejects)
        self._batch = Batch()
