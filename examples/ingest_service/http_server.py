"""The HTTP endpoint: POST /ingest, GET /stats, POST /control.

    POST /ingest    lines of JSON       200 {"accepted": N}
                                        503 {"accepted": n, "lines": N, "error": ...}, Retry-After
    GET  /stats                         200 counts of the graph, its edges and the writer
    POST /control   {"command": ...}    200 {"ok": true, ...}; commands: see `service.COMMANDS`

Every answer is JSON. What cannot be used is answered 4xx with an "error" that says why.
"""

import json
import logging
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol, cast

from examples.ingest_service.connections import StoppableServer, say_goodbye
from examples.ingest_service.entry import Entered
from examples.ingest_service.framing import split_lines

BODY_BYTES_MAX = 8 * 1024 * 1024
IDLE_S_MAX = 10.0  # for a client that stops in the middle of its request
RETRY_AFTER_S = 1

log = logging.getLogger(__name__)


class HttpError(Exception):
    """An answer other than 200: a status and a sentence for the caller."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Backend(Protocol):
    """What the endpoint needs of the service."""

    def ingest(self, lines: Sequence[bytes]) -> Entered:
        """Put lines into the graph, waiting for a limited time."""
        ...

    def stats(self) -> dict[str, Any]:
        """Return counts that JSON can hold."""
        ...

    def control(self, request: dict[str, Any]) -> dict[str, Any]:
        """Carry out a command; raise HttpError for one that cannot be."""
        ...


class IngestHttpServer(StoppableServer, ThreadingHTTPServer):
    """Serves one request a connection."""

    def __init__(self, address: tuple[str, int], backend: Backend) -> None:
        super().__init__(address, _Handler)
        self.backend = backend

    def server_bind(self) -> None:
        """Bind without asking the name service for our name, which may take seconds."""
        StoppableServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.port


class _Handler(BaseHTTPRequestHandler):
    timeout = IDLE_S_MAX

    def setup(self) -> None:
        super().setup()
        self.backend = cast("IngestHttpServer", self.server).backend

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def finish(self) -> None:
        super().finish()
        say_goodbye(self.connection)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        log.debug(format, *args)

    def _serve(self, method: str) -> None:
        actions = {
            ("POST", "/ingest"): self._ingest,
            ("GET", "/stats"): self._stats,
            ("POST", "/control"): self._control,
        }
        path = self.path.partition("?")[0]
        action = actions.get((method, path))
        try:
            if action is None:
                offered = ", ".join(" ".join(pair) for pair in actions)
                raise HttpError(404, f"there is no {method} {path}; there is {offered}")
            action()
        except HttpError as error:
            self._reply(error.status, {"error": str(error)})

    def _ingest(self) -> None:
        lines = split_lines(self._body())
        entered = self.backend.ingest(lines)
        answer: dict[str, Any] = {"accepted": entered.accepted}
        if entered.refusal is None:
            self._reply(200, answer)
        else:
            self._reply(503, answer | {"lines": len(lines), "error": entered.refusal})

    def _stats(self) -> None:
        self._reply(200, self.backend.stats())

    def _control(self) -> None:
        try:
            request = json.loads(self._body())
        except (ValueError, RecursionError) as error:
            raise HttpError(400, f"the body must be JSON: {error}") from None
        if not isinstance(request, dict):
            raise HttpError(400, 'the body must be an object like {"command": "flush"}')
        self._reply(200, self.backend.control(request))

    def _body(self) -> bytes:
        size = self.headers.get("Content-Length")
        if size is None:
            raise HttpError(411, "the request needs a Content-Length")
        if not (size.isascii() and size.isdigit()):
            raise HttpError(400, f"Content-Length must be a number, not {size!r}")
        if len(size) > len(str(BODY_BYTES_MAX)) or int(size) > BODY_BYTES_MAX:
            raise HttpError(413, f"a body may have {BODY_BYTES_MAX} bytes; send it in parts")
        body = self.rfile.read(int(size))
        if len(body) < int(size):
            raise HttpError(400, f"the body ended after {len(body)} of {size} bytes")
        return body

    def _reply(self, status: int, answer: dict[str, Any]) -> None:
        content = json.dumps(answer).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if status == 503:
            self.send_header("Retry-After", str(RETRY_AFTER_S))
        self.end_headers()
        self.wfile.write(content)
