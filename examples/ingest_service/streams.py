"""Answers over HTTP that go on: a chunk now and then, until the client hangs up or the server closes.

Each open stream holds one of the server's connections and the thread that serves it, so there are few at a time. A
client that reads slowly, or not at all, holds up nobody but itself: little is buffered for it, a chunk that it does not
take in time ends its stream, and a stop waits a quarter of a second for it.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

STREAMS_MAX = 8  # a server
SEND_S_MAX = 5.0  # for a client that does not take what it is sent
SEND_BUFFER_BYTES = 32 * 1024  # the system's, a stream: what a client that does not read is behind
LAST_CHUNK_S = 0.25  # a closing server waits so long until the last chunks are sent


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer that goes on: `chunk(last)` every `interval_s`, the first at once.

    The last chunk is asked for when the server closes; a client that hangs up gets none.
    """

    chunk: Callable[[bool], bytes]
    interval_s: float
    content_type: str


class Streams:
    """The streams of a server that are open now."""

    def __init__(self) -> None:
        self._open: set[socket.socket] = set()  # guarded by _changed, as _closing is
        self._closing = False
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, connection: socket.socket) -> str | None:
        """Count a stream in, or say why not."""
        with self._changed:
            if self._closing:
                return "the service is closing"
            if len(self._open) >= STREAMS_MAX:
                return f"{STREAMS_MAX} viewers are connected, and there are no more at a time; try again later"
            self._open.add(connection)
            return None

    def send(self, connection: socket.socket, stream: Stream) -> None:
        """Send what an admitted stream yields until it has to end; raise OSError where the client does not take it."""
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        last = False
        while not last:
            last = self._closing
            connection.settimeout(SEND_S_MAX)
            connection.sendall(stream.chunk(last))
            if not last and _hung_up(connection, stream.interval_s) and not self._closing:
                return

    def leave(self, connection: socket.socket) -> None:
        """Count a stream out."""
        with self._changed:
            self._open.discard(connection)
            self._changed.notify_all()

    def close(self) -> None:
        """Admit nobody any more and end what is open: with a last chunk where the client takes it, else without."""
        with self._changed:
            self._closing = True
            # The end of reading wakes the thread that waits for the client, which then sees that we close.
            self._shut(socket.SHUT_RD)
            if not self._changed.wait_for(lambda: not self._open, LAST_CHUNK_S):
                self._shut(socket.SHUT_RDWR)  # a thread that is stuck sending to a client gives up

    def _shut(self, how: int) -> None:
        for connection in self._open:
            with contextlib.suppress(OSError):  # the client was faster
                connection.shutdown(how)


def _hung_up(connection: socket.socket, within_s: float) -> bool:
    """Wait so long, and say at once if nothing can come from the client any more."""
    deadline = time.monotonic() + within_s
    while (left_s := deadline - time.monotonic()) > 0:
        connection.settimeout(left_s)
        try:
            if not connection.recv(4096):  # what a client has still to say is of no interest
                return True
        except TimeoutError:
            return False
    return False
