"""Run the service until Ctrl-C, SIGTERM or the command "stop".

Start it, send lines, look, and give commands (pause, resume, flush, stop). A browser shows the graph at work, every
edge with its depth and rate, at http://127.0.0.1:8080/

    python -m examples.ingest_service --db flights.db --tcp 9000 --http 8080

    nc -N 127.0.0.1 9000 < lines.ndjson
    curl --data-binary @lines.ndjson http://127.0.0.1:8080/ingest
    curl http://127.0.0.1:8080/stats
    curl http://127.0.0.1:8080/metrics
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
    add("--tcp", type=int, default=9000, metavar="PORT", help="default 9000; 0: any free port")
    add("--http", type=int, default=8080, metavar="PORT", help="default 8080; 0: any free port")
    add("--host", default="127.0.0.1", help="address to listen on; default 127.0.0.1, this machine only")
    add("--workers", type=int, default=2, metavar="N", help="worker threads; default 2")
    add("--stop-within", type=float, default=10.0, metavar="S", help="seconds that a stop may take; default 10")
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
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    try:
        service = IngestService(settings)
    except (OSError, OverflowError, sqlite3.Error, ValueError) as error:
        print(f"cannot start: {error}", file=sys.stderr)
        return 2
    print(f"tcp {settings.host}:{service.tcp.port}")
    print(f"http {settings.host}:{service.http.port}")
    print(f"live page http://{settings.host}:{service.http.port}/")
    print(f"database {settings.db}; Ctrl-C stops", flush=True)
    report = service.run()

    writer, accepted = service.writer, service.accepted()
    stored = writer.flights_stored + writer.rejects_stored
    print(f"\nshutdown\n{report_text(report)}")
    print(
        f"\naccepted {accepted:,} lines: stored {writer.flights_stored:,} flights "
        f"and {writer.rejects_stored:,} rejects in {settings.db}"
    )
    if stored != accepted or writer.pending:
        print(f"NOT STORED: {accepted - stored:,} lines ({writer.pending:,} rows in the writer)", file=sys.stderr)
        return 1
    return 0 if report.complete else 1


if __name__ == "__main__":
    sys.exit(main())
