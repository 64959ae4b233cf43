"""JSON over HTTP: finds the function for a request, hands it the body, and sends what it returns.

Answers are JSON, unless the function returns a `Text`, or a `Stream` for an answer that goes on. What cannot be used is
answered 4xx with an "error" that says why.
"""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any, cast
from urllib.parse import urlsplit

from examples.ingest_service.connections import ClosableServer, say_goodbye
from examples.ingest_service.streams import Stream, Streams

BODY_BYTES_MAX = 8 * 1024 * 1024
IDLE_S_MAX = 10.0  # for a client that stops in the middle of its request
RETRY_AFTER_S = 1

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Text:
    """An answer that is not JSON."""

    content: bytes
    content_type: str
    headers: Mapping[str, str] = field(default_factory=dict)


Routes = Mapping[tuple[str, str], Callable[[bytes], Answer | Text | Stream]]  # ("POST", "/ingest") -> function

log = logging.getLogger(__name__)


class HttpError(Exception):
    """An answer other than 200: a status, a sentence for the caller, and what else it should know."""

    def __init__(self, status: int, error: str, **more: Any) -> None:
        super().__init__(error)
        self.status = status
        self.answer = {"error": error, **more}


class HttpServer(ClosableServer):
    """Serves one request a connection."""

    def __init__(self, address: tuple[str, int], routes: Routes) -> None:
        super().__init__(address, _Handler)
        self.routes = routes
        self.streams = Streams()

    def close(self) -> None:
        """End the streams, which would go on for ever, then close as any server."""
        self.streams.close()
        super().close()


class _Handler(BaseHTTPRequestHandler):
    timeout = IDLE_S_MAX

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def finish(self) -> None:
        super().finish()
        say_goodbye(self.connection)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        log.debug(format, *args)

    def _serve(self) -> None:
        try:
            answer = self._answer()
            if isinstance(answer, Stream):
                self._stream(answer)
            else:
                self._reply(200, answer)
        except HttpError as error:
            self._reply(error.status, error.answer)

    def _answer(self) -> Answer | Text | Stream:
        routes = cast("HttpServer", self.server).routes
        path = self.path.partition("?")[0]
        function = routes.get((self.command, path))
        if function is None:
            offered = ", ".join(" ".join(route) for route in routes)
            raise HttpError(404, f"there is no {self.command} {path}; there is {offered}")
        if self.command != "POST":
            return function(b"")
        self._refuse_other_sites()
        return function(self._body())

    def _refuse_other_sites(self) -> None:
        """A page of another site, open in a browser on this machine, may not send lines or commands."""
        origin = self.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != self.headers.get("Host"):
            raise HttpError(403, f"a page of {origin} may not do that")

    def _body(self) -> bytes:
        size = self.headers.get("Content-Length")
        if size is None:
            raise HttpError(411, "the request needs a Content-Length")
        if not (size.isascii() and size.isdigit()):
            raise HttpError(400, f"Content-Length must be a number, not {size!r}")
        if len(size) > len(str(BODY_BYTES_MAX)) or int(size) > BODY_BYTES_MAX:
            raise HttpError(413, f"a body may have {BODY_BYTES_MAX:,} bytes; send it in parts")
        body = self.rfile.read(int(size))
        if len(body) < int(size):
            raise HttpError(400, f"the body ended after {len(body)} of {size} bytes")
        return body

    def _reply(self, status: int, answer: Answer | Text) -> None:
        if not isinstance(answer, Text):
            answer = Text(json.dumps(answer).encode() + b"\n", "application/json")
        headers = {"Content-Length": str(len(answer.content)), **answer.headers}
        if status == 503:
            headers["Retry-After"] = str(RETRY_AFTER_S)
        self._head(status, answer.content_type, headers)
        self.wfile.write(answer.content)

    def _stream(self, stream: Stream) -> None:
        streams = cast("HttpServer", self.server).streams
        refusal = streams.admit(self.connection)
        if refusal:
            raise HttpError(503, refusal)
        try:
            self._head(200, stream.content_type, {})  # no length: the end of the connection is its end
            streams.send(self.connection, stream)
        finally:
            streams.leave(self.connection)

    def _head(self, status: int, content_type: str, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-cache")  # every answer is of the moment
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
