"""The command line: check, draw and run, what they answer to wrong arguments, and that a terminal gets a table."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
DEADLINE_S = 50.0

MODULE = """
import time
from graphflow import ErrorPolicy, Node, Scheduler, SchedulerConfig, Subgraph

class Source(Node):
    outputs = "out"
    def __init__(self, name, items):
        super().__init__(name)
        self.items = items
    def produce(self):
        yield from self.items

class Sink(Node):
    inputs = "in"
    def on_message(self, port, msg):
        pass

class Fatal(Sink):
    error_policy = ErrorPolicy.STOP_GRAPH
    def on_message(self, port, msg):
        raise ValueError("the end of it")

class Cold(Sink):
    def on_start(self):
        raise OSError("not yet")

class Slow(Sink):
    def on_message(self, port, msg):
        time.sleep(0.001)

class Tired(Sink):
    def on_drain(self):
        print("drains", flush=True)
        time.sleep(1.5)

def graph(sink, items):
    made = Subgraph.from_nodes("shop", [Source("orders", items), sink])
    made.connect("orders:out", (sink.name, "in"), capacity=20)
    return made

def forever():
    number = 0
    while True:
        yield number
        number += 1

def finite(): return graph(Sink("sink"), range(100))
def endless(): return graph(Slow("sink"), forever())
def tired(): return graph(Tired("sink"), forever())
def fatal(): return graph(Fatal("sink"), range(100))
def unready():
    deaf = graph(Node("deaf", "in"), [])
    deaf.add_node(Cold("cold"))
    deaf.expose_input("in", "cold:in")
    return deaf
def loose():
    made = unready()
    made.add_node(Source("unheard", []))
    return made
def lonely(): return Subgraph.from_nodes("lonely", [Sink("sink")])
def raising(): raise RuntimeError("no graph today")
def number(): return 5
def several(): return [lonely(), Source("alone", [])]
def twice():
    one = lonely()
    return [one, one]
def narrow():
    graph = Subgraph.from_nodes("narrow", [Source("orders", []), Sink("one"), Sink("two")])
    graph.connect("orders:out", "one:in")
    graph.connect("orders:out", "two:in")
    made = Scheduler(SchedulerConfig(outbox_limit=1))
    made.register(graph)
    return made
ready = finite()
def scheduler():
    made = Scheduler(SchedulerConfig(name="mine", workers=1))
    made.register(finite())
    return made
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(MODULE)
    (tmp_path / "broken.py").write_text("import nothing_of_that_name\n")
    (tmp_path / "syntax.py").write_text("def (:\n")
    return tmp_path


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100", **more}


def cli(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "graphflow", *arguments],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )


# ---------------------------------------------------------------------------------------- check and draw


def test_check_of_a_good_graph_says_so(folder: Path) -> None:
    done = cli(folder, "check", "shop:finite")
    assert (done.returncode, done.stdout) == (0, "no issues\n")


def test_check_shows_warnings_and_succeeds(folder: Path) -> None:
    done = cli(folder, "check", "shop:lonely")
    assert done.returncode == 0
    assert re.search(r"^warning\s+UNCONNECTED_PORT\s+input port 'in' of node 'sink'", done.stdout, re.MULTILINE)


def test_check_shows_errors_and_fails(folder: Path) -> None:
    done = cli(folder, "check", "shop:twice")
    assert done.returncode == 1
    assert re.search(r"^error\s+DUP_NODE", done.stdout, re.MULTILINE)


@pytest.mark.parametrize("ending", ["return graph", "graph.nodes['gone'].name", "Scheduler().register(graph)"])
def test_check_shows_all_that_a_factory_is_refused_and_no_traceback(folder: Path, ending: str) -> None:
    (folder / "wrong.py").write_text(
        f"""from graphflow import *
def make():
    graph = Subgraph.from_nodes("g", [Node("a", outputs="out"), Node("b", inputs="in"), Node("b")])
    graph.connect("a:out", "c:in")
    graph.connect("a:ou", "b:in", capacity=0)
    {ending}
"""
    )
    done = cli(folder, "check", "wrong:make")
    assert done.returncode == 1
    found = re.findall(r"^error\s+(\w+)", done.stdout, re.MULTILINE)
    assert found[:4] == ["DUP_NODE", "UNKNOWN_NODE", "NO_SRC_PORT", "BAD_CAP"]
    assert "Traceback" not in done.stdout + done.stderr


def test_draw_prints_or_writes_either_language(folder: Path) -> None:
    assert cli(folder, "draw", "shop:finite").stdout.startswith("flowchart LR\n  %% shop\n")
    done = cli(folder, "draw", "shop:ready", "--format", "dot", "-o", "shop.dot")
    assert (done.returncode, done.stdout) == (0, "")
    assert (folder / "shop.dot").read_text().startswith("digraph {\n")
    assert cli(folder, "draw", "shop:ready", "-o", "no/such/folder.mmd").returncode == 2


def test_several_graphs_are_drawn_together(folder: Path) -> None:
    text = cli(folder, "draw", "shop:several").stdout
    assert '["sink"]' in text
    assert '["alone"]' in text


# ---------------------------------------------------------------------------------------- run


def test_run_of_a_finite_graph_ends_with_its_report(folder: Path) -> None:
    done = cli(folder, "run", "shop:finite")
    assert done.returncode == 0, done.stderr
    assert "shop: stopped after" in done.stdout
    assert done.stdout.endswith("completed: complete\n")


def test_what_goes_wrong_before_the_first_message_is_shown(folder: Path) -> None:
    done = cli(folder, "run", "shop:unready")
    assert (done.returncode, done.stdout.splitlines()[-2:]) == (
        0,
        ["completed: complete, with errors", "  1 error in cold"],
    )
    for said in ("NO_HANDLER: node 'deaf'", "shop: run started", "OSError: not yet"):
        assert said in done.stderr, done.stderr


def test_check_says_all_that_a_run_would_warn_of(folder: Path) -> None:
    done = cli(folder, "check", "shop:loose")
    assert done.returncode == 0
    assert "NO_HANDLER" in done.stdout
    assert "UNCONNECTED_PORT" in done.stdout


def test_check_of_a_scheduler_looks_at_its_settings(folder: Path) -> None:
    done = cli(folder, "check", "shop:narrow")
    assert done.returncode == 0
    assert "SMALL_OUTBOX" in done.stdout


def test_a_duration_shorter_than_a_refresh_is_kept(folder: Path) -> None:
    began = time.monotonic()
    done = cli(folder, "run", "shop:endless", "--duration", "0.1", "--refresh", "40")
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began < 30


def test_run_takes_a_scheduler_as_it_is_but_for_the_workers(folder: Path) -> None:
    assert "mine: stopped after" in cli(folder, "run", "shop:scheduler", "--workers", "3").stdout


def test_run_for_a_while_drains(folder: Path) -> None:
    done = cli(folder, "run", "shop:endless", "--duration", "0.4", "--refresh", "0.1")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert sum(": running for " in line for line in lines) >= 2
    assert "fullest orders:out->sink:in" in lines[0]
    assert lines[-1] == "shutdown: complete"


def test_an_error_that_stops_the_graph_is_shown_and_fails(folder: Path) -> None:
    done = cli(folder, "run", "shop:fatal")
    assert done.returncode == 1
    assert "stopped by ValueError('the end of it') in sink" in done.stdout
    assert "Traceback" in done.stdout
    assert "error: not complete" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_drains(folder: Path, number: int) -> None:
    running = subprocess.Popen(
        [sys.executable, "-m", "graphflow", "run", "shop:endless", "--refresh", "0.1"],
        cwd=folder,
        env=environment(PYTHONUNBUFFERED="1"),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert running.stdout is not None
    assert ": running for " in running.stdout.readline()
    running.send_signal(number)
    rest, _ = running.communicate(timeout=DEADLINE_S)
    assert rest.endswith("shutdown: complete\n")
    assert running.returncode == (130 if number == signal.SIGINT else 0)


def test_a_signal_during_the_drain_of_a_duration_is_the_first_one(folder: Path) -> None:
    running = subprocess.Popen(
        [sys.executable, "-m", "graphflow", "run", "shop:tired", "--duration", "0.1"],
        cwd=folder,
        env=environment(PYTHONUNBUFFERED="1"),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert running.stdout is not None
    assert any(line == "drains\n" for line in running.stdout)
    running.send_signal(signal.SIGTERM)
    rest, _ = running.communicate(timeout=DEADLINE_S)
    assert rest.endswith("shutdown: complete\n")
    assert running.returncode == 0


# ---------------------------------------------------------------------------------------- wrong arguments


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("shop", "MODULE:FACTORY must be like"),
        (":x", "MODULE:FACTORY must be like"),
        ("shopp:finite", "there is no module 'shopp'"),
        ("shop.inner:finite", "there is no module 'shop.inner'"),
        ("shop:finit", "did you mean 'finite'?"),
        ("shop:raising", "RuntimeError: no graph today"),
        ("shop:number", "not int 5"),
        ("broken:x", "nothing_of_that_name"),
        ("syntax:x", "SyntaxError"),
    ],
)
@pytest.mark.parametrize("command", ["check", "draw", "run"])
def test_what_cannot_be_loaded_is_named(folder: Path, command: str, place: str, said: str) -> None:
    if command != "check" and place != "shop:finit":
        return  # one command for all of them, all commands for one of them
    done = cli(folder, command, place)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stdout == ""


def test_a_graph_that_cannot_run_is_named(folder: Path) -> None:
    done = cli(folder, "run", "shop:twice")
    assert done.returncode == 2
    assert "shop:twice cannot run" in done.stderr


@pytest.mark.parametrize(
    "arguments", [["run", "shop:finite", "--workers", "0"], ["jump"], ["draw", "shop:finite", "--format", "png"]]
)
def test_wrong_options_are_usage_errors(folder: Path, arguments: list[str]) -> None:
    assert cli(folder, *arguments).returncode == 2


@pytest.mark.parametrize("library", ["click", "rich"])
def test_without_its_libraries_it_says_what_to_install(library: str) -> None:
    code = f"import sys; sys.modules[{library!r}] = None; from graphflow.cli import main; sys.exit(main([]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(), timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"the command line needs {library}: pip install 'graphflow[cli]'\n"


# ---------------------------------------------------------------------------------------- the table


def test_on_a_terminal_there_is_a_live_table(folder: Path) -> None:
    master, slave = pty.openpty()
    running = subprocess.Popen(
        [sys.executable, "-m", "graphflow", "run", "shop:endless", "--duration", "0.6", "--refresh", "0.1"],
        cwd=folder,
        env=environment(TERM="xterm", LINES="24"),
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    text = b"".join(read_all(master, running)).decode()
    os.close(master)
    assert running.wait(DEADLINE_S) == 0, text
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert "orders:out->sink:in" in plain
    assert "BLOCKED" in plain
    assert "██" in plain
    assert "shutdown: complete" in plain
    assert "\x1b[1A" in text  # it is redrawn in place


def read_all(master: int, running: subprocess.Popen[Any]) -> Iterator[bytes]:
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        if select.select([master], [], [], 0.1)[0]:
            try:
                yield os.read(master, 65536)
            except OSError:  # the other end is closed
                return
        elif running.poll() is not None:
            return


def test_a_traceback_stays_out_of_the_table_and_is_said_to_be_elsewhere(folder: Path) -> None:
    done = cli(folder, "run", "shop:unready", "--table")
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())  # as the width of the terminal has it
    assert "OSError: not yet" in said
    assert "Traceback" not in said + done.stderr
    assert re.search(r"log records? had more lines, such as tracebacks: --no-table shows them", said)
