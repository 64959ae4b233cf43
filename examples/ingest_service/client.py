"""What a sender does: lines over TCP, lines over HTTP. The demo and the tests send with it."""

import json
import select
import socket
import time
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPResponse
from typing import Any

from examples.ingest_service.connections import Taken

Address = tuple[str, int]

LINES_PER_SEND = 50
LINES_PER_POST = 500
PATIENCE_S = 60.0  # how long a full service may hold us back


def send_lines(address: Address, lines: Sequence[bytes]) -> Taken:
    """Send lines over one TCP connection and return the service's answer."""
    with socket.create_connection(address, timeout=PATIENCE_S) as connection:
        try:
            for start in range(0, len(lines), LINES_PER_SEND):
                if _has_answered(connection):
                    break
                part = lines[start : start + LINES_PER_SEND]
                connection.sendall(b"".join(line + b"\n" for line in part))
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the service has ended the connection; its answer may have come before
        with connection.makefile("rb") as reader:
            answer = reader.readline()
    if not answer:
        raise ConnectionError("the service hung up without an answer")
    return Taken(**json.loads(answer))


def post_lines(address: Address, lines: Sequence[bytes]) -> Taken:
    """Send lines in several POSTs; what a busy service has not taken is sent again."""
    accepted = 0
    while accepted < len(lines):
        body = b"\n".join(lines[accepted : accepted + LINES_PER_POST]) + b"\n"
        try:
            status, reply, headers = request(address, "POST", "/ingest", body)
        except ConnectionRefusedError:
            return Taken(accepted, "closed")
        accepted += reply.get("accepted", 0)
        if status == 503 and reply["error"] == "busy":
            time.sleep(float(headers["Retry-After"]))
        elif status != 200:
            return Taken(accepted, reply["error"])
    return Taken(accepted)


def request(
    address: Address, method: str, path: str, body: bytes | None = None
) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Make one HTTP request; return the status, the JSON object and the headers of the answer."""
    connection = HTTPConnection(*address, timeout=PATIENCE_S)
    try:
        connection.request(method, path, body)
        response: HTTPResponse = connection.getresponse()
        return response.status, json.loads(response.read()), dict(response.getheaders())
    finally:
        connection.close()


def control(address: Address, command: str, **arguments: Any) -> dict[str, Any]:
    """Give the service a command; raise RuntimeError if it does not carry it out."""
    body = json.dumps({"command": command, **arguments}).encode()
    status, reply, _ = request(address, "POST", "/control", body)
    if status != 200:
        raise RuntimeError(f"{command}: {status} {reply['error']}")
    return reply


def _has_answered(connection: socket.socket) -> bool:
    """Whether the service has spoken, or hung up, before we were done."""
    return bool(select.select([connection], [], [], 0)[0])
