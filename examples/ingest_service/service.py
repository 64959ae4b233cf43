"""The service: graph, scheduler and servers put together, and their life cycle."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from examples.ingest_service.connections import StoppableServer
from examples.ingest_service.database import prepare
from examples.ingest_service.entry import Entered, enter
from examples.ingest_service.graph import ingest_graph
from examples.ingest_service.http_server import HttpError, IngestHttpServer
from examples.ingest_service.tcp_server import LineServer
from examples.ingest_service.writer import SQLiteWriter
from graphflow import (
    Edge,
    EdgeClosed,
    GraphflowError,
    Message,
    MessageType,
    Node,
    Scheduler,
    SchedulerConfig,
    ShutdownReport,
)

COMMANDS = ("pause", "resume", "flush", "stop")
COMMAND_WAIT_S = 1.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What a user may choose. Port 0 lets the system choose one."""

    db: Path
    host: str = "127.0.0.1"
    tcp_port: int = 0
    http_port: int = 0
    workers: int = 2
    batch_rows: int = 500
    flush_interval_ms: int = 200
    pending_rows_max: int = 20_000
    lines_capacity: int = 2048
    http_wait_s: float = 2.0  # a POST waits this long for room in the graph
    shutdown_timeout_s: float = 10.0


class FrontDoor(Node):
    """Opens the servers with the graph and closes them with it.

    As a node it is told what the scheduler does, whoever asked for it: `on_drain` of a node without
    inputs comes first of all, so a draining service accepts nobody. Its thread is its own because
    it waits for the servers' threads.
    """

    dedicated = True

    def __init__(self, servers: Sequence[StoppableServer], on_open: Callable[[], None]) -> None:
        super().__init__("front_door")
        self._servers = servers
        self._on_open = on_open

    def on_start(self) -> None:
        """Start accepting; clients that have connected already are served now."""
        for server in self._servers:
            server.start()
        self._on_open()

    def on_drain(self) -> None:
        """Accept no more; handlers answer their clients what was accepted."""
        for server in self._servers:
            server.stop_accepting()

    def on_stop(self) -> None:
        """Wait until the clients have their answers."""
        for server in self._servers:
            server.close()


class IngestService:
    """Listens from construction on, serves from `start` or `run` on.

    Raises sqlite3.Error for a database that cannot be used and OSError for a port that is taken.
    """

    def __init__(self, settings: Settings, on_open: Callable[[], None] = lambda: None) -> None:
        prepare(settings.db)
        self.settings = settings
        self.writer = SQLiteWriter(
            settings.db,
            batch_rows=settings.batch_rows,
            flush_interval_ms=settings.flush_interval_ms,
            pending_rows_max=settings.pending_rows_max,
        )
        self.graph = ingest_graph(self.writer, settings.lines_capacity)
        self.scheduler = Scheduler(
            SchedulerConfig(workers=settings.workers, shutdown_timeout_s=settings.shutdown_timeout_s)
        )
        self.scheduler.register(self.graph)
        self._lines = self.scheduler.input("lines")
        self._commands = self.scheduler.input("commands")

        self.tcp = LineServer((settings.host, settings.tcp_port), self._lines)
        try:
            self.http = IngestHttpServer((settings.host, settings.http_port), self)
        except BaseException:
            self.tcp.close()
            raise
        self.scheduler.register(FrontDoor((self.tcp, self.http), on_open))

    def start(self) -> None:
        """Start to serve and return."""
        self.scheduler.start()

    def stop(self, timeout: float | None = None) -> ShutdownReport:
        """Accept no more, store what was accepted, and say what was left behind."""
        return self.scheduler.shutdown(drain=True, timeout=timeout)

    def run(self) -> ShutdownReport:
        """Serve until Ctrl-C, SIGTERM or the command "stop", then do as `stop` does."""
        try:
            return self.scheduler.run()
        except KeyboardInterrupt:  # how `run` says that it was Ctrl-C; the graph has stopped
            return self.scheduler.wait()

    def ingest(self, lines: Sequence[bytes]) -> Entered:
        """Put lines into the graph, for at most `http_wait_s`."""
        return enter(lines, self._lines, self.settings.http_wait_s)

    def control(self, request: dict[str, Any]) -> dict[str, Any]:
        """Carry out a command; raise HttpError where that is not possible."""
        command = request.get("command")
        if command in ("pause", "resume"):
            return self._hold(command, request.get("node", self.writer.name))
        if command == "flush":
            return self._flush()
        if command == "stop":
            # Not on this thread: it has to answer, and the stop waits for it.
            threading.Thread(target=self.stop, name="stop").start()
            return {"ok": True, "stopping": True}
        raise HttpError(400, f"the commands are {', '.join(COMMANDS)}, not {command!r}")

    def stats(self) -> dict[str, Any]:
        """Counts of the scheduler, the writer and every edge."""
        return {
            "connections": {"tcp": self.tcp.connections, "http": self.http.connections},
            "scheduler": self.scheduler.get_stats(),
            "writer": {
                "flights_stored": self.writer.flights_stored,
                "rejects_stored": self.writer.rejects_stored,
                "pending": self.writer.pending,
                "failed_writes": self.writer.failed_writes,
            },
            "edges": {edge.id: _edge_counts(edge) for edge in self.graph.edges},
        }

    def accepted(self) -> int:
        """Lines that have entered the graph since the start."""
        (entrance,) = (edge for edge in self.graph.edges if edge.id.startswith("input:lines->"))
        return entrance.stats().offered

    def _hold(self, command: str, node: Any) -> dict[str, Any]:
        names = self.graph.node_names()
        if node not in names:
            raise HttpError(400, f"the nodes are {', '.join(names)}, not {node!r}")
        act = self.scheduler.pause if command == "pause" else self.scheduler.resume
        try:
            act(node)
        except GraphflowError as error:
            raise HttpError(409, str(error)) from None
        return {"ok": True, command: node}

    def _flush(self) -> dict[str, Any]:
        """Overtakes the rows that are still on their way; stores what the writer has."""
        message = Message(MessageType.CONTROL, {"command": "flush"})
        try:
            self._commands.put(message, timeout=COMMAND_WAIT_S)
        except TimeoutError:
            raise HttpError(503, "the writer takes no command now, try later") from None
        except EdgeClosed:
            raise HttpError(503, "the service is stopping") from None
        return {"ok": True, "flush": self.writer.name}


def _edge_counts(edge: Edge) -> dict[str, int]:
    stats = edge.stats()
    names = ("offered", "delivered", "dropped", "expired", "depth", "peak_depth", "undelivered")
    return {"capacity": edge.capacity} | {name: getattr(stats, name) for name in names}
