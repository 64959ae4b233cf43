"""Feed the service a month of real flights from several clients, and check that none is missing.

Run: python -m examples.ingest_service.demo [--rows N] [--db FILE]
"""

import argparse
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from examples.ingest_service.client import Answer, post_lines, send_lines
from examples.ingest_service.sample import Sample, load_sample
from examples.ingest_service.service import IngestService, Settings
from examples.ingest_service.summary import Database, edges_text, rejects_text, report_text
from examples.ingest_service.terminal import Progress
from graphflow import ShutdownReport

TCP_CLIENTS = 4
HTTP_CLIENTS = 1
LOOK_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the clients were told, what the service says, and how long it took."""

    accepted: int
    failed_clients: list[str]
    report: ShutdownReport
    seconds: float


class Sent:
    """Lines sent so far, by all clients together."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.lines = 0

    def add(self, lines: int) -> None:
        """Count some more."""
        with self._lock:
            self.lines += lines


def start_clients(pool: Executor, service: IngestService, lines: list[bytes], sent: Sent) -> list[Future[Answer]]:
    """Deal the lines out to clients that send them all at once."""
    clients = TCP_CLIENTS + HTTP_CLIENTS
    host = service.settings.host
    answers = []
    for number in range(clients):
        share = lines[number::clients]
        if number < TCP_CLIENTS:
            answers.append(pool.submit(send_lines, (host, service.tcp.port), share, sent.add))
        else:
            answers.append(pool.submit(post_lines, (host, service.http.port), share, sent.add))
    return answers


def run(service: IngestService, lines: list[bytes]) -> Outcome:
    """Start the service, send the lines, and stop it by draining."""
    sent = Sent()
    progress = Progress(len(lines), sys.stdout)

    def show_progress() -> None:
        stored = service.writer.flights_stored + service.writer.rejects_stored
        progress.show(stored, f"{sent.lines:,} sent")

    began = time.perf_counter()
    service.start()
    try:
        with ThreadPoolExecutor(TCP_CLIENTS + HTTP_CLIENTS) as pool:
            answers = start_clients(pool, service, lines, sent)
            while wait(answers, LOOK_EVERY_S).not_done:
                show_progress()
    finally:
        report = service.stop()
    seconds = time.perf_counter() - began
    show_progress()
    progress.end()

    failed = [str(error) for answer in answers if (error := answer.exception())]
    accepted = sum(answer.result().accepted for answer in answers if not answer.exception())
    return Outcome(accepted, failed, report, seconds)


def problems(sample: Sample, outcome: Outcome, database: Database) -> list[str]:
    """Return what does not add up; nothing, if every line is accounted for."""
    rejects = database.rejects()
    checks = [
        ("lines accepted", outcome.accepted, len(sample.lines)),
        ("stored + rejected", database.flights() + rejects.total(), len(sample.lines)),
        ("flights stored", database.flights(), sample.flights),
        ("flights counted", database.counted(), database.flights_ever()),
    ]
    checks += [
        (f"rejected as {reason}", rejects[reason], sample.rejects[reason])
        for reason in sorted(rejects | sample.rejects)
    ]
    found = [f"a client failed: {error}" for error in outcome.failed_clients]
    found += [f"{name}: {got:,}, not {want:,}" for name, got, want in checks if got != want]
    if not outcome.report.complete:
        found.append("the shutdown was not complete")
    return found


def demo(path: Path, rows: int | None) -> int:
    """Do everything and print it; return the exit status."""
    sample = load_sample(rows)
    broken = len(sample.lines) - sample.flights
    print(
        f"Sending {len(sample.lines):,} lines, {sample.flights:,} real flights and {broken} broken "
        f"lines,\nover {TCP_CLIENTS} TCP connections and by HTTP POST at once, into {path}\n"
    )
    service = IngestService(Settings(path))
    database = Database(path)  # sees what is stored from here on
    outcome = run(service, sample.lines)
    rate = len(sample.lines) / outcome.seconds
    print(f"\nStored {database.flights():,} flights, {database.cancelled():,} of them cancelled")
    print(f"\nThe latest to leave\n{database.sample_text()}")
    print(f"\nThe busiest carriers and hours\n{database.hours_text()}")
    print(f"\nRejected {database.rejects().total():,} lines\n{rejects_text(database.rejects())}")
    print(f"\nEdges, in messages\n{edges_text(service.graph.edges)}")
    print(f"\nShutdown\n{report_text(outcome.report)}")
    print(f"\n{rate:,.0f} lines/s: sent, checked, counted and stored in {outcome.seconds:.2f} s")

    found = problems(sample, outcome, database)
    if found:
        print("MISSING OR WRONG\n  " + "\n  ".join(found))
        return 1
    print(
        f"Every line is accounted for: {database.flights():,} stored + "
        f"{database.rejects().total():,} rejected = {len(sample.lines):,} sent"
    )
    return 0


def _count(text: str) -> int:
    if (count := int(text)) < 0:
        raise argparse.ArgumentTypeError(f"a number of rows is 0 or more, not {text}")
    return count


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line and run the demo."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.ingest_service.demo", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--rows", type=_count, metavar="N", help="send the first N flights only")
    parser.add_argument("--db", type=Path, metavar="FILE", help="keep the database, or add to it")
    options = parser.parse_args(arguments)
    with ExitStack() as stack:
        if options.db is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="graphflow-demo-"))
            options.db = Path(folder) / "flights.db"
        try:
            return demo(options.db, options.rows)
        except (OSError, sqlite3.Error) as error:
            print(f"the demo cannot run: {error}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            return 130  # as a shell counts a program that Ctrl-C ended


if __name__ == "__main__":
    sys.exit(main())
