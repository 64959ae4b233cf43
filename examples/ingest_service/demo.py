"""Feed the service a month of real flights from several clients at once, and check that no line is missing.

Run: python -m examples.ingest_service.demo [--db FILE]
"""

import argparse
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from examples.ingest_service.client import post_lines, send_lines
from examples.ingest_service.connections import Taken
from examples.ingest_service.sample import Sample, load_sample
from examples.ingest_service.service import IngestService, Settings
from examples.ingest_service.summary import edges_text, report_text, table
from graphflow import ShutdownReport

TCP_CLIENTS = 4
CLIENTS = TCP_CLIENTS + 1  # one more sends by HTTP
LOOK_S = 0.1
BAR_CHARS = 30

LATEST = """
SELECT printf('%d-%02d-%02d', year, month, day) AS date, carrier || ' ' || flight AS flight,
       origin AS "from", dest AS "to", printf('%02d:%02d', hour, minute) AS due, dep_delay AS "minutes late"
FROM flights ORDER BY dep_delay DESC LIMIT 5
"""
BUSIEST = """
SELECT carrier, printf('%02d:00', hour) AS hour, scheduled, cancelled,
       round(1.0 * delay_minutes / (scheduled - cancelled), 1) AS "mean delay, minutes"
FROM carrier_hour ORDER BY scheduled DESC, carrier, hour LIMIT 5
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the clients were told, what the scheduler says, and how long it took."""

    answers: list[Taken | BaseException]
    report: ShutdownReport
    seconds: float


def run(service: IngestService, lines: list[bytes]) -> Outcome:
    """Start the service, send the lines, and stop it by draining."""
    tcp, http = (service.settings.host, service.tcp.port), (service.settings.host, service.http.port)
    began = time.perf_counter()
    service.start()
    try:
        with ThreadPoolExecutor(CLIENTS) as pool:
            clients: list[Future[Taken]] = [
                pool.submit(send_lines, tcp, lines[number::CLIENTS]) for number in range(TCP_CLIENTS)
            ]
            clients.append(pool.submit(post_lines, http, lines[TCP_CLIENTS::CLIENTS]))
            while wait(clients, LOOK_S).not_done:
                show_progress(service, len(lines))
    finally:
        report = service.stop()
    seconds = time.perf_counter() - began
    show_progress(service, len(lines), "\n")
    return Outcome([client.exception() or client.result() for client in clients], report, seconds)


def show_progress(service: IngestService, total: int, end: str = "") -> None:
    """On a terminal, one line that changes; elsewhere nothing."""
    if sys.stdout.isatty():
        stored = service.writer.flights_stored + service.writer.rejects_stored
        bar = "#" * (BAR_CHARS * stored // total)
        print(
            f"\r  [{bar:<{BAR_CHARS}}] {stored:7,} of {total:,} lines stored, {service.accepted():7,} accepted",
            end=end,
            flush=True,
        )


def problems(sample: Sample, outcome: Outcome, database: sqlite3.Connection) -> list[str]:
    """Return what does not add up; nothing, if every line is accounted for."""
    stored, rejects = flights_in(database), rejects_in(database)
    checks = [
        ("stored + rejected", stored + rejects.total(), len(sample.lines)),
        ("flights stored", stored, sample.flights),
        ("flights counted", database.execute("SELECT total(scheduled) FROM carrier_hour").fetchone()[0], stored),
    ]
    reasons = sorted(rejects.keys() | sample.rejects.keys())
    checks += [(f"rejected as {reason}", rejects[reason], sample.rejects[reason]) for reason in reasons]
    found = [f"{name}: {got:,.0f}, not {want:,}" for name, got, want in checks if got != want]
    for number, answer in enumerate(outcome.answers):
        share = len(sample.lines[number::CLIENTS])
        if answer != Taken(share):
            found.append(f"client {number} sent {share:,} lines and was answered {answer!r}")
    if not outcome.report.complete:
        found.append("the shutdown was not complete")
    return found


def flights_in(database: sqlite3.Connection) -> int:
    """How many flights have been stored."""
    return int(database.execute("SELECT count(*) FROM flights").fetchone()[0])


def rejects_in(database: sqlite3.Connection) -> Counter[str]:
    """How many lines have been rejected, by reason."""
    return Counter(dict(database.execute("SELECT reason, count(*) FROM rejects GROUP BY reason")))


def query_text(database: sqlite3.Connection, sql: str) -> str:
    """Return the result of a query as a table."""
    cursor = database.execute(sql)
    rows: list[tuple[Any, ...]] = cursor.fetchall()
    return table([column[0] for column in cursor.description], rows)


def demo(path: Path) -> int:
    """Do everything and print it; return the exit status."""
    sample = load_sample()
    sent = len(sample.lines)
    print(
        f"Sending {sample.flights:,} real flights and {sent - sample.flights} broken lines "
        f"over {TCP_CLIENTS} TCP connections and by HTTP, all at once"
    )
    service = IngestService(Settings(path))
    outcome = run(service, sample.lines)
    with closing(sqlite3.connect(path)) as database:
        stored, rejects = flights_in(database), rejects_in(database)
        print(f"\nStored {stored:,} flights; the latest to leave\n{query_text(database, LATEST)}")
        print(f"\nThe busiest hours of a carrier\n{query_text(database, BUSIEST)}")
        print(f"\nRejected {rejects.total():,} lines\n{table(('reason', 'lines'), rejects.most_common())}")
        print(f"\nEdges, in messages\n{edges_text(service.graph.edges)}")
        print(f"\nShutdown\n{report_text(outcome.report)}")
        found = problems(sample, outcome, database)
    print(f"\n{sent / outcome.seconds:,.0f} lines/s, sent, checked, counted and stored in {outcome.seconds:.2f} s")
    if found:
        print("MISSING OR WRONG\n  " + "\n  ".join(found))
        return 1
    print(f"Every line is accounted for: {stored:,} stored + {rejects.total():,} rejected = {sent:,} sent")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line and run the demo."""
    description = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m examples.ingest_service.demo", description=description)
    parser.add_argument("--db", type=Path, metavar="FILE", help="keep the database in this file, a new one")
    path = parser.parse_args(arguments).db
    if path is not None and path.exists():
        parser.error(f"{path} exists already; name a new file")
    try:
        if path is not None:
            return demo(path)
        with tempfile.TemporaryDirectory(prefix="graphflow-demo-") as folder:
            return demo(Path(folder) / "flights.db")
    except (OSError, sqlite3.Error) as error:
        print(f"the demo cannot run: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130  # as a shell counts a program that Ctrl-C ended


if __name__ == "__main__":
    sys.exit(main())
