"""The ingestion service as a program: signals, exit codes, and the demo."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytest.importorskip("pydantic", reason="the ingestion service checks its records with pydantic")

from graphs import until
from ingesting import DEADLINE_S, GOOD, HOST, ROOT, count

from examples.ingest_service import demo
from examples.ingest_service.client import control, post_lines, request, send_lines
from examples.ingest_service.connections import Taken
from examples.ingest_service.graph import Parse
from graphflow import Message


class Program:
    """The service as a process of its own."""

    def __init__(self, path: Path) -> None:
        command = [sys.executable, "-m", "examples.ingest_service"]
        command += ["--db", str(path), "--tcp", "0", "--http", "0"]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.tcp = self._address("tcp")
        self.http = self._address("http")

    def _address(self, name: str) -> tuple[str, int]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith(f"{name} "), line + self.process.stdout.read()
        host, port = line.split()[1].split(":")
        return host, int(port)

    def wait(self) -> tuple[int, str]:
        output, _ = self.process.communicate(timeout=DEADLINE_S)
        return self.process.returncode, output


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    program = Program(tmp_path / "flights.db")
    yield program
    if program.process.poll() is None:
        program.process.kill()
    program.process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stores_what_was_accepted_and_ends_with_0(
    program: Program, tmp_path: Path, number: signal.Signals
) -> None:
    lines = [GOOD, b"broken"] * 50_000
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(send_lines, program.tcp, lines) for _ in range(4)]

        def all_are_served() -> bool:
            _, stats, _ = request(program.http, "GET", "/stats")
            return (stats["connections"]["tcp"], stats["writer"]["flights_stored"] > 0) == (4, True)

        until(all_are_served)
        program.process.send_signal(number)
        status, output = program.wait()
    accepted = sum(answer.result().accepted for answer in answers)
    assert status == 0, output
    assert all(answer.result().error == "closing" for answer in answers), "too few lines to tell"
    assert f"accepted {accepted:,} lines" in output
    path = tmp_path / "flights.db"
    assert count(path, "flights") + count(path, "rejects") == accepted


def test_a_paused_program_drains_on_a_signal(program: Program, tmp_path: Path) -> None:
    control(program.http, "pause")
    assert post_lines(program.http, [GOOD] * 100) == Taken(100)
    program.process.send_signal(signal.SIGTERM)
    status, output = program.wait()
    assert status == 0, output
    assert count(tmp_path / "flights.db", "flights") == 100


def test_the_command_stop_ends_the_program_with_0(program: Program) -> None:
    control(program.http, "stop")
    status, output = program.wait()
    assert status == 0, output


def test_a_port_in_use_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as taken:
        command = [sys.executable, "-m", "examples.ingest_service", "--db", str(tmp_path / "x.db")]
        command += ["--tcp", str(taken.getsockname()[1]), "--http", "0"]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith("cannot start: ")
    assert "Traceback" not in ended.stderr


def test_the_demo_accounts_for_every_line() -> None:
    command = [sys.executable, "-m", "examples.ingest_service.demo"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Every line is accounted for: 27,004 stored + 109 rejected = 27,113 sent" in ended.stdout


def test_the_demo_fails_and_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parse = Parse.on_message

    def lose_blank_lines(node: Parse, port: str, msg: Message) -> None:
        if msg.payload:
            parse(node, port, msg)

    monkeypatch.setattr(Parse, "on_message", lose_blank_lines)
    assert demo.main([]) == 1
    printed = capsys.readouterr().out
    assert "stored + rejected: 27,104, not 27,113" in printed
    assert "rejected as blank: 0, not 9" in printed
