"""The service: servers, graph and scheduler put together, and what a client may ask of them over HTTP.

POST /ingest    lines of JSON       200 {"accepted": N}
                                    503 {"accepted": n, "lines": N, "error": "busy" or "closing"}, Retry-After
GET  /                              200 a page that shows the graph as it runs, for a browser
GET  /events                        200 what the page shows, as server-sent events, see `live.py`; 503 for the ninth
                                    viewer at a time
GET  /stats                         200 counts of the graph, its edges and the writer
GET  /metrics                       200 the same and more for Prometheus; 501 where its library is not installed
POST /control   {"command": C}      200 {"ok": true}; C is "flush", "stop", or "pause" or "resume" (the writer, or
                                    the node that "node" names)
"""

import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from examples.ingest_service.connections import ClosableServer, Taken
from examples.ingest_service.graph import ingest_graph
from examples.ingest_service.http_server import Answer, HttpError, HttpServer, Routes, Text
from examples.ingest_service.live import live_events, live_page
from examples.ingest_service.metrics import Metrics
from examples.ingest_service.streams import Stream
from examples.ingest_service.tcp_server import LineServer
from examples.ingest_service.writer import SQLiteWriter, connect
from graphflow import (
    EdgeClosed,
    GraphValidationError,
    Message,
    MessageType,
    Node,
    Scheduler,
    SchedulerConfig,
    ShutdownReport,
)

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
    lines_capacity: int = 2048
    http_wait_s: float = 2.0  # a POST is refused when there was no room for so long
    shutdown_timeout_s: float = 10.0


class FrontDoor(Node):
    """Opens the servers with the graph and closes them with it.

    A node without ports, so that it is told what the scheduler does, whoever asked for it: a signal, a command or a
    caller. A drain closes the graph's inputs first; then `on_drain` turns new clients away and waits until those that
    are connected have been answered what was accepted. Its thread is its own (`dedicated`), because it waits.
    """

    dedicated = True

    def __init__(self, *servers: ClosableServer) -> None:
        super().__init__("front_door")
        self._servers = servers

    def on_start(self) -> None:
        """Start accepting; clients that have connected already are served now."""
        for server in self._servers:
            server.start()

    def on_drain(self) -> None:
        """Stop accepting."""
        for server in self._servers:
            server.close()

    def on_stop(self) -> None:
        """The same, where there was no drain."""
        self.on_drain()


class IngestService:
    """Listens from construction on, serves from `start` or `run` on.

    Raises sqlite3.Error for a database that cannot be used and OSError for a port that is taken.
    """

    def __init__(self, settings: Settings) -> None:
        connect(settings.db).close()
        self.settings = settings
        self.writer = SQLiteWriter(settings.db, settings.batch_rows, settings.flush_interval_ms)
        self.graph = ingest_graph(self.writer, settings.lines_capacity)
        self.scheduler = Scheduler(
            SchedulerConfig(
                name="ingest", metrics=True, workers=settings.workers, shutdown_timeout_s=settings.shutdown_timeout_s
            )
        )
        self.scheduler.register(self.graph)
        self.lines = self.scheduler.input("lines")
        self.commands = self.scheduler.input("commands")
        self.metrics = Metrics(self.scheduler)

        routes: Routes = {
            ("POST", "/ingest"): self._ingest,
            ("GET", "/"): self._page,
            ("GET", "/events"): self._events,
            ("GET", "/stats"): self._stats,
            ("GET", "/metrics"): self._metrics,
            ("POST", "/control"): self._control,
        }
        self.tcp = LineServer((settings.host, settings.tcp_port), self.take)
        try:
            self.http = HttpServer((settings.host, settings.http_port), routes)
        except BaseException:
            self.tcp.close()
            raise
        self.scheduler.register(FrontDoor(self.tcp, self.http))

    def start(self) -> None:
        """Start to serve and return."""
        self.scheduler.start()

    def stop(self) -> ShutdownReport:
        """Accept no more, store what was accepted, and say what was left behind."""
        return self.scheduler.shutdown()

    def run(self) -> ShutdownReport:
        """Serve until Ctrl-C, SIGTERM or the command "stop", then do as `stop` does."""
        try:
            return self.scheduler.run()
        except KeyboardInterrupt:  # how `run` says that it was Ctrl-C; the graph has stopped
            return self.scheduler.wait()

    def take(self, lines: list[bytes], wait_s: float | None = None) -> Taken:
        """Put lines into the graph, in order; give up when it had no room for `wait_s`. The one way in.

        The answer is exact, whatever happens: the sender knows which lines it may forget.
        """
        accepted = 0
        try:
            while accepted < len(lines):
                entered = self.lines.put_many(lines[accepted:], wait_s)
                if not entered:
                    return Taken(accepted, "busy")
                accepted += entered
        except EdgeClosed:
            return Taken(accepted, "closing")
        return Taken(accepted)

    def accepted(self) -> int:
        """Lines that have entered the graph since the start."""
        return self.lines.edge.stats().offered

    def _ingest(self, body: bytes) -> Answer:
        lines = body.removesuffix(b"\n").split(b"\n") if body else []
        taken = self.take(lines, self.settings.http_wait_s)
        if taken.error:
            raise HttpError(503, taken.error, accepted=taken.accepted, lines=len(lines))
        return taken.answer()

    def _page(self, body: bytes) -> Text:
        return live_page()

    def _events(self, body: bytes) -> Stream:
        return live_events(self.scheduler)

    def _stats(self, body: bytes) -> Answer:
        writer = self.writer
        return self.scheduler.get_stats() | {
            "connections": {"tcp": self.tcp.connections, "http": self.http.connections},
            "writer": {
                "flights_stored": writer.flights_stored,
                "rejects_stored": writer.rejects_stored,
                "pending": writer.pending,
                "failed_writes": writer.failed_writes,
            },
        }

    def _metrics(self, body: bytes) -> Text:
        return self.metrics.exposition()

    def _control(self, body: bytes) -> Answer:
        try:
            request = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise HttpError(400, f"the body must be JSON: {error}") from None
        match request:
            case {"command": "pause" | "resume" as command, **rest}:
                self._hold(command, rest.get("node", self.writer.name))
            case {"command": "flush"}:
                self._flush()
            case {"command": "stop"}:
                # Not on this thread: it has to answer, and the stop waits for it.
                threading.Thread(target=self.stop, name="stop").start()
            case _:
                raise HttpError(400, 'the body must be {"command": C}, where C is "pause", "resume", "flush" or "stop"')
        return {"ok": True}

    def _hold(self, command: str, node: Any) -> None:
        try:
            if command == "pause":
                self.scheduler.pause(node)
            else:
                self.scheduler.resume(node)
        except GraphValidationError as error:
            raise HttpError(400, str(error)) from None

    def _flush(self) -> None:
        """Store what the writer has: the command overtakes the rows that are still on their way."""
        try:
            self.commands.put(Message(MessageType.CONTROL, "flush"), timeout=COMMAND_WAIT_S)
        except TimeoutError:
            raise HttpError(503, "the writer takes no command now, try later") from None
        except EdgeClosed:
            raise HttpError(503, "the service is closing") from None
