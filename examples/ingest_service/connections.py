"""What the two servers share: a thread for each client, a limit on clients, and an end that loses no answer."""

import contextlib
import logging
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

CONNECTIONS_MAX = 64  # a server; more clients wait in the system's queue of connections
LOOK_S = 0.05  # threads that wait for a client look this often whether the server is closing
GOODBYE_S = 1.0  # a client has this long to read our answer and to hang up

log = logging.getLogger(__name__)


class Taken(NamedTuple):
    """The first `accepted` of some lines are in the graph; `error` says why the rest is not."""

    accepted: int
    error: str | None = None

    def answer(self) -> dict[str, Any]:
        """Return what the client is told."""
        return {"accepted": self.accepted} | ({"error": self.error} if self.error else {})


class ClosableServer(socketserver.ThreadingTCPServer):
    """A threading server that can be closed while clients are connected.

    The address is bound at construction, so a port in use shows at once; clients wait until `start`.
    """

    allow_reuse_address = True
    request_queue_size = CONNECTIONS_MAX
    daemon_threads = True  # a client that never hangs up must not keep the process alive
    block_on_close = False  # `close` waits instead, with a limit

    def __init__(self, address: tuple[str, int], handler: Callable[..., Any]) -> None:
        self.closing = False
        self.connections = 0  # being served now; guarded by _changed, as `closing` is
        self._changed = threading.Condition()
        self._started = False
        super().__init__(address, handler)

    @property
    def port(self) -> int:
        """The port in use, also where port 0 was asked for."""
        return int(self.server_address[1])

    def start(self) -> None:
        """Accept connections, on a thread of our own."""
        self._started = True
        threading.Thread(target=self.serve_forever, args=(LOOK_S,), name=type(self).__name__, daemon=True).start()

    def close(self) -> None:
        """Accept nobody any more, and wait, not for long, until every client has its answer; once is enough."""
        if self.closing:
            return
        with self._changed:
            self.closing = True
            self._changed.notify_all()
        if self._started:
            self.shutdown()
        self.server_close()
        with self._changed:
            self._changed.wait_for(lambda: not self.connections, 1.5 * GOODBYE_S)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give the connection a thread; while all are in use the next clients wait in line."""
        with self._changed:
            self._changed.wait_for(lambda: self.closing or self.connections < CONNECTIONS_MAX)
            self.connections += 1
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread could be started
            self._count_out()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Run a handler and count it out."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._count_out()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what a handler raised; a client that went away is no error of ours."""
        error = sys.exception()
        if isinstance(error, OSError):
            log.info("client %s is gone: %s", client_address, error)
        else:
            log.error("serving %s failed", client_address, exc_info=error)

    def _count_out(self) -> None:
        with self._changed:
            self.connections -= 1
            self._changed.notify_all()


def say_goodbye(connection: socket.socket) -> None:
    """End a connection so that the client gets our answer, even if it is still sending.

    Closing with unread data resets the connection, which may destroy an answer on its way; so we read on, for a limited
    time, until the client has hung up.
    """
    deadline = time.monotonic() + GOODBYE_S
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
        while (left_s := deadline - time.monotonic()) > 0:
            connection.settimeout(left_s)
            if not connection.recv(65536):
                return
