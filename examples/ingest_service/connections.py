"""What the two servers share: a bounded number of threads, and an end to every one of them."""

import contextlib
import logging
import selectors
import socket
import socketserver
import sys
import threading
import time
from typing import Any

CONNECTIONS_MAX = 64  # a server; more clients wait in the system's queue of connections
ACCEPT_POLL_S = 0.2  # socketserver looks this often whether it should stop
GOODBYE_S = 1.0  # a client has this long to read our answer and to hang up

log = logging.getLogger(__name__)


class StoppableServer(socketserver.ThreadingTCPServer):
    """A threading server that can be told to stop while its clients are connected.

    The address is bound at construction, so a port in use shows at once; connections wait until
    `start`. `stop_accepting` wakes the handlers that wait for their client (see `wait_for_data`).
    """

    allow_reuse_address = True
    request_queue_size = CONNECTIONS_MAX
    daemon_threads = True  # a client that never hangs up must not keep the process alive
    block_on_close = False  # `close` waits instead, with a limit

    def __init__(self, address: tuple[str, int], handler: Any) -> None:
        self._handlers = 0  # guarded by _changed
        self._changed = threading.Condition()
        self._acceptor: threading.Thread | None = None
        # Readable from the moment of the stop, for everyone: its other end is closed.
        self._stop_sign, self._stop_switch = socket.socketpair()
        try:
            super().__init__(address, handler)
        except BaseException:
            self._stop_sign.close()
            self._stop_switch.close()
            raise

    @property
    def port(self) -> int:
        """The port in use, also where port 0 was asked for."""
        return int(self.server_address[1])

    @property
    def connections(self) -> int:
        """Clients that are being served now."""
        with self._changed:
            return self._handlers

    @property
    def stopping(self) -> bool:
        """Whether `stop_accepting` was called."""
        return self._stop_switch.fileno() == -1

    def start(self) -> None:
        """Accept connections, on a thread of our own."""
        self._acceptor = threading.Thread(
            target=self.serve_forever, args=(ACCEPT_POLL_S,), name=type(self).__name__, daemon=True
        )
        self._acceptor.start()

    def stop_accepting(self) -> None:
        """Refuse new connections and tell the handlers to finish; may be called twice."""
        self._stop_switch.close()
        with self._changed:
            self._changed.notify_all()
        if self._acceptor is not None:
            self.shutdown()
            self._acceptor.join()
            self._acceptor = None
        self.socket.close()

    def close(self, timeout_s: float = 2 * GOODBYE_S) -> bool:
        """Stop, and wait for the handlers; return whether all have ended in time."""
        self.stop_accepting()
        with self._changed:
            ended = self._changed.wait_for(lambda: not self._handlers, timeout_s)
        if ended:  # a handler that is left still looks at the sign
            self._stop_sign.close()
        return ended

    def wait_for_data(self, connection: socket.socket) -> bool:
        """Wait until the client has sent something or hung up; False once we are stopping."""
        with selectors.DefaultSelector() as selector:
            selector.register(connection, selectors.EVENT_READ)
            selector.register(self._stop_sign, selectors.EVENT_READ)
            selector.select()
        return not self.stopping

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give the connection a thread; while all are in use the next clients wait in line."""
        with self._changed:
            self._changed.wait_for(lambda: self.stopping or self._handlers < CONNECTIONS_MAX)
            self._handlers += 1
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread could be started
            self._handler_ended()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Run a handler and count it out."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._handler_ended()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what a handler raised; a client that went away is no error of ours."""
        error = sys.exception()
        if isinstance(error, OSError):
            log.info("client %s is gone: %s", client_address, error)
        else:
            log.error("serving %s failed", client_address, exc_info=error)

    def _handler_ended(self) -> None:
        with self._changed:
            self._handlers -= 1
            self._changed.notify_all()


def say_goodbye(connection: socket.socket) -> None:
    """End a connection so that the client gets our answer, even if it is still sending.

    Closing with unread data resets the connection, which may destroy an answer on its way; so we
    read on, for a limited time, until the client has hung up.
    """
    deadline = time.monotonic() + GOODBYE_S
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
        while (left_s := deadline - time.monotonic()) > 0:
            connection.settimeout(left_s)
            if not connection.recv(65536):
                return
