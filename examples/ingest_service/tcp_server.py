"""Newline-delimited JSON over TCP.

A client sends its lines and ends its half of the connection; the answer is one line of JSON,
`{"accepted": N}`: the first N lines are in the graph. Where the service has to end the connection
first the answer has an `"error"` too, and the lines after N should be sent elsewhere.
"""

import json
import socket
import socketserver
from typing import Any, cast

from examples.ingest_service.connections import StoppableServer, say_goodbye
from examples.ingest_service.entry import LineInput, Refusal, enter
from examples.ingest_service.framing import LineSplitter

CHUNK_BYTES = 64 * 1024


class LineServer(StoppableServer):
    """Takes lines from many clients at once and puts them into the graph."""

    def __init__(self, address: tuple[str, int], lines: LineInput) -> None:
        super().__init__(address, _LineHandler)
        self.lines = lines


class _LineHandler(socketserver.BaseRequestHandler):
    request: socket.socket

    def setup(self) -> None:
        self.owner = cast("LineServer", self.server)
        self.accepted = 0
        self.splitter = LineSplitter()

    def handle(self) -> None:
        error = self._receive()
        self.request.sendall(_answer(self.accepted, error))

    def finish(self) -> None:
        say_goodbye(self.request)

    def _receive(self) -> str | None:
        """Take lines until the client is done (None), or until we have to stop (why)."""
        # While `enter` waits for room nobody reads the socket: TCP then slows the client down.
        while self.owner.wait_for_data(self.request):
            chunk = self.request.recv(CHUNK_BYTES)
            if not chunk:
                return self._enter(self.splitter.finish())
            refusal = self._enter(self.splitter.feed(chunk))
            if refusal:
                return refusal
        return Refusal.CLOSING  # an unfinished line is not taken: half a line is no line

    def _enter(self, lines: list[bytes]) -> Refusal | None:
        entered = enter(lines, self.owner.lines)
        self.accepted += entered.accepted
        return entered.refusal


def _answer(accepted: int, error: str | None) -> bytes:
    answer: dict[str, Any] = {"accepted": accepted}
    if error:
        answer["error"] = error
    return json.dumps(answer).encode() + b"\n"
