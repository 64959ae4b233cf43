"""For tests of the ingestion service: one that runs in this process, and what its database holds."""

import contextlib
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from graphs import assert_stopped_clean

from examples.ingest_service.sample import read_flights, to_line
from examples.ingest_service.service import IngestService, Settings

ROOT = Path(__file__).resolve().parents[1]
HOST = "127.0.0.1"
DEADLINE_S = 50.0  # only a stuck service takes as long
NEVER_MS = 600_000  # a tick that no test lives to see
FLIGHT = next(read_flights())
GOOD = to_line(FLIGHT)


def query(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def count(path: Path, table: str) -> int:
    return int(query(path, f"SELECT count(*) FROM {table}")[0][0])


def reasons(path: Path) -> Counter[str]:
    return Counter(dict(query(path, "SELECT reason, count(*) FROM rejects GROUP BY reason")))


class Running:
    """A service in this process, and the addresses of its doors."""

    def __init__(self, settings: Settings) -> None:
        self.db = settings.db
        self.service = IngestService(settings)
        self.service.start()
        self.tcp = (HOST, self.service.tcp.port)
        self.http = (HOST, self.service.http.port)

    def stop(self) -> None:
        report = self.service.stop()
        assert_stopped_clean(self.service.graph, report)

    def depth(self) -> int:
        """Lines that wait at the entrance of the graph."""
        return self.service.lines.edge.depth()


Start = Callable[..., Running]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Running] = []

    def start_with(**settings: Any) -> Running:
        running = Running(Settings(tmp_path / "flights.db", **settings))
        started.append(running)
        return running

    yield start_with
    for running in started:
        running.service.stop()
