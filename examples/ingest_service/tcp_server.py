"""Newline-delimited JSON over TCP.

A client sends its lines and ends its half of the connection; the answer is one line of JSON, `{"accepted": N}`: the
first N lines are in the graph. Where the service has to end the connection first the answer has an `"error"` too, and
the lines after N should be sent again later.
"""

import json
import socket
import socketserver
from collections.abc import Callable
from typing import cast

from examples.ingest_service.connections import GOODBYE_S, LOOK_S, ClosableServer, Taken, say_goodbye
from examples.ingest_service.flights import LINE_BYTES_MAX

CHUNK_BYTES = 64 * 1024


class LineServer(ClosableServer):
    """Takes lines from many clients at once and hands them to `take`, which waits while there is no room."""

    def __init__(self, address: tuple[str, int], take: Callable[[list[bytes]], Taken]) -> None:
        super().__init__(address, _Handler)
        self.take = take


class _Handler(socketserver.BaseRequestHandler):
    request: socket.socket

    def handle(self) -> None:
        taken = self._receive(cast("LineServer", self.server))
        self.request.settimeout(GOODBYE_S)
        self.request.sendall(json.dumps(taken.answer()).encode() + b"\n")

    def finish(self) -> None:
        say_goodbye(self.request)

    def _receive(self, server: LineServer) -> Taken:
        """Take lines until the client is done, or until we have to stop."""
        splitter = LineSplitter()
        accepted = 0
        self.request.settimeout(LOOK_S)
        while not server.closing:
            try:
                chunk = self.request.recv(CHUNK_BYTES)
            except TimeoutError:
                continue
            # While `take` waits for room nobody reads the socket: TCP then slows the client down.
            taken = server.take(splitter.feed(chunk) if chunk else splitter.finish())
            accepted += taken.accepted
            if taken.error or not chunk:
                return Taken(accepted, taken.error)
        return Taken(accepted, "closing")  # an unfinished line is not taken: half a line is no line


class LineSplitter:
    """Collects chunks of a stream and gives back the lines in them, without their newlines.

    Of a line longer than LINE_BYTES_MAX the first LINE_BYTES_MAX + 1 bytes are kept and the rest is passed over, so a
    sender that never ends its line costs no memory, and whoever gets the line still sees that it was too long.
    """

    def __init__(self) -> None:
        self._tail = bytearray()  # the beginning of a line whose end has not come yet

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the lines that `chunk` completes."""
        *complete, rest = chunk.split(b"\n")
        lines = []
        for part in complete:
            self._keep(part)
            lines.append(bytes(self._tail))
            self._tail.clear()
        self._keep(rest)
        return lines

    def finish(self) -> list[bytes]:
        """Return the last line, if the stream ended without a newline."""
        return [bytes(self._tail)] if self._tail else []

    def _keep(self, part: bytes) -> None:
        self._tail += part[: LINE_BYTES_MAX + 1 - len(self._tail)]
