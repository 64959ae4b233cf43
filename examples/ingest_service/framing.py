"""Cuts a stream of bytes into lines, whatever the sender does."""

LINE_BYTES_MAX = 64 * 1024


class LineSplitter:
    """Collects chunks and gives back the lines in them, without their newlines.

    Of a line longer than LINE_BYTES_MAX the first LINE_BYTES_MAX + 1 bytes are kept and the rest is
    passed over, so a sender that never ends its line costs no memory, and whoever gets the line
    still sees that it was too long.
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
        rest = bytes(self._tail)
        self._tail.clear()
        return [rest] if rest else []

    def _keep(self, part: bytes) -> None:
        room = LINE_BYTES_MAX + 1 - len(self._tail)
        self._tail += part[:room]


def split_lines(body: bytes) -> list[bytes]:
    """Return the lines of a whole body."""
    splitter = LineSplitter()
    return splitter.feed(body) + splitter.finish()
