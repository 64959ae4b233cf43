"""The ingestion service when its database fails: rows wait, and what was never stored is named."""

import contextlib
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytest.importorskip("pydantic", reason="the ingestion service checks its records with pydantic")

from graphs import until
from ingesting import DEADLINE_S, GOOD, NEVER_MS, Start, count

from examples.ingest_service import writer
from examples.ingest_service.client import request, send_lines
from examples.ingest_service.connections import Taken
from examples.ingest_service.service import IngestService, Settings

pytest_plugins = ["ingesting"]  # the fixture `start`


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Nobody else writes to the database meanwhile."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def test_rows_that_cannot_be_stored_wait_and_hold_the_senders_back(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "LOCK_WAIT_S", 0.01)
    monkeypatch.setattr(writer, "RETRY_S", 0.01)
    running = start(batch_rows=10, lines_capacity=16)
    with ThreadPoolExecutor(1) as pool:
        with locked(running.db):
            answer = pool.submit(send_lines, running.tcp, [GOOD] * 5000)
            until(lambda: running.depth() == 16)
            until(lambda: running.service.writer.failed_writes >= 3)
            _, stats, _ = request(running.http, "GET", "/stats")
            assert stats["writer"]["failed_writes"] >= 3
            assert stats["writer"]["pending"] == 10
            assert not answer.done()
        assert answer.result(DEADLINE_S) == Taken(5000)
    running.stop()
    assert count(running.db, "flights") == 5000


def test_a_stop_waits_for_a_database_that_comes_back(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "LOCK_WAIT_S", 0.01)
    running = start(batch_rows=10)
    with ThreadPoolExecutor(1) as pool:
        with locked(running.db):
            assert send_lines(running.tcp, [GOOD] * 100) == Taken(100)
            stop = pool.submit(running.stop)
            until(lambda: running.service.scheduler.get_stats()["status"] == "draining")
        stop.result(DEADLINE_S)
    assert count(running.db, "flights") == 100


def test_rows_that_were_never_stored_are_named(start: Start) -> None:
    running = start(flush_interval_ms=NEVER_MS)
    send_lines(running.tcp, [GOOD] * 10)
    until(lambda: running.service.writer.pending >= 10)
    with contextlib.closing(sqlite3.connect(running.db)) as connection:
        connection.execute("DROP TABLE flights")
    report = running.service.stop()
    assert running.service.writer.pending >= 10
    assert report.error_counts["writer"] == 2  # in the drain, and once more at the stop


def test_a_database_of_another_program_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE flights (number)")
    with pytest.raises(sqlite3.OperationalError, match="no column"):
        IngestService(Settings(path))


def test_a_file_that_is_no_database_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("no database\n" * 1000)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        IngestService(Settings(path))
