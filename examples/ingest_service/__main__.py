"""Run the service until Ctrl-C, SIGTERM or the command "stop".

Start it, send lines, look, and give commands (pause, resume, flush, stop):

    python -m examples.ingest_service --db flights.db --tcp 9000 --http 8080

    nc -N 127.0.0.1 9000 < lines.ndjson
    curl --data-binary @lines.ndjson http://127.0.0.1:8080/ingest
    curl http://127.0.0.1:8080/stats
    curl -d '{"command": "flush"}' http://127.0.0.1:8080/control
"""

import argparse
import logging
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path

from examples.ingest_service.service import IngestService, Settings
from examples.ingest_service.summary import report_text


def read_settings(arguments: Sequence[str] | None) -> Settings:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.ingest_service",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--db", type=Path, required=True, metavar="FILE", help="SQLite database; made, or added to")
    add("--tcp", type=_port, default=9000, metavar="PORT", help="default 9000; 0: any free port")
    add("--http", type=_port, default=8080, metavar="PORT", help="default 8080; 0: any free port")
    add("--host", default="127.0.0.1", help="address to listen on; default 127.0.0.1, this machine")
    add("--workers", type=int, default=2, metavar="N", help="worker threads; default 2")
    add(
        "--stop-within",
        type=float,
        default=10.0,
        metavar="S",
        help="seconds that a stop may take; default 10",
    )
    options = parser.parse_args(arguments)
    return Settings(
        db=options.db,
        host=options.host,
        tcp_port=options.tcp,
        http_port=options.http,
        workers=options.workers,
        shutdown_timeout_s=options.stop_within,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve; return 0 if every accepted line is in the database at the end."""
    settings = read_settings(arguments)
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=logging.INFO)

    def announce() -> None:
        print(f"tcp {settings.host}:{service.tcp.port}", flush=True)
        print(f"http {settings.host}:{service.http.port}", flush=True)
        print(f"database {settings.db}; Ctrl-C stops", flush=True)

    try:
        service = IngestService(settings, announce)
    except (OSError, OverflowError, sqlite3.Error, ValueError) as error:
        print(f"cannot start: {error}", file=sys.stderr)
        return 2
    report = service.run()

    writer, accepted = service.writer, service.accepted()
    stored = writer.flights_stored + writer.rejects_stored
    print(f"\nshutdown\n{report_text(report)}")
    print(
        f"\naccepted {accepted:,} lines: stored {writer.flights_stored:,} flights "
        f"and {writer.rejects_stored:,} rejects in {settings.db}"
    )
    if stored != accepted:
        print(f"NOT STORED: {accepted - stored:,} accepted lines", file=sys.stderr)
    return 0 if report.complete and stored == accepted and not writer.pending else 1


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"a port is a number from 0 to 65535, not {text}")
    return port


if __name__ == "__main__":
    sys.exit(main())
