"""Signals and the end of the interpreter, in processes of their own."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

import pytest
from graphs import DEADLINE_S
from programs import finish, started

from graphflow import Scheduler

if TYPE_CHECKING:
    import subprocess

COMMON = """
import sys, threading, time
from graphflow import *
from graphs import *
class Count(Node):
    "An endless source that waits a little between its items."
    outputs = "out"
    def produce(self):
        n = 0
        while True:
            time.sleep(0.0005)
            yield n
            n += 1
class Slow(Collect):
    def on_drain(self): print("drained", flush=True)
    def on_stop(self): print("stopped", len(self.seen), flush=True)
def endless(last=None):
    source, last = Count("source"), last or Slow("collect")
    graph = chain(source, Map("map"), last, capacity=8)
    return scheduler_of(graph), graph, last
def announce(last):
    def wait():
        last.expect(10)
        print("ready", flush=True)
    threading.Thread(target=wait, daemon=True).start()
"""


def program(text: str) -> subprocess.Popen[str]:
    return started(COMMON + text)


def read_until(process: subprocess.Popen[str], line: str) -> str:
    assert process.stdout is not None
    got = ""
    for text in process.stdout:
        got += text
        if text.strip() == line:
            return got
    pytest.fail(f"{line!r} never came: {got}\n{process.stderr.read() if process.stderr else ''}")


RUN = """
scheduler, graph, last = endless()
announce(last)
try:
    report = scheduler.run()
except KeyboardInterrupt:
    print("interrupted")
    report = scheduler.shutdown()
assert_graph_conserved(graph)
print(report.reason, report.complete, len(last.seen), flush=True)
print("sent", edge_of(graph, "source:out->map:in").stats().offered)
"""


@pytest.mark.parametrize(("number", "interrupted"), [(signal.SIGTERM, False), (signal.SIGINT, True)])
def test_one_signal_drains_and_run_returns(number: signal.Signals, interrupted: bool) -> None:
    process = program(RUN)
    read_until(process, "ready")
    process.send_signal(number)
    code, out, err = finish(process)
    assert code == 0, err
    assert ("interrupted" in out) is interrupted
    assert "drained" in out
    handled = int(out.split("stopped ")[1].split()[0])
    assert f"{number.name} True {handled}" in out
    assert f"sent {handled}" in out
    assert not err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_stops_without_draining(number: signal.Signals) -> None:
    process = program(
        """
gate = Gate("collect")
gate.on_drain = lambda: print("drained", flush=True)
scheduler, graph, _ = endless(gate)
scheduler.config.__dict__["shutdown_timeout_s"] = 20.0
def watch():
    gate.entered.wait(30)
    print("ready", flush=True)
    until(lambda: scheduler.get_stats()["status"] == "draining")
    time.sleep(0.15)                            # the same signal sooner is no second one
    print("draining", flush=True)
    until(lambda: scheduler.get_stats()["status"] == "stopping")
    gate.opened.set()
threading.Thread(target=watch, daemon=True).start()
started = time.monotonic()
try:
    report = scheduler.run()
except KeyboardInterrupt:
    print("interrupted")
    report = scheduler.shutdown()
assert_graph_conserved(graph)
print("end", report.complete, len(gate.seen), time.monotonic() - started < 15, flush=True)
"""
    )
    out = read_until(process, "ready")
    process.send_signal(number)
    out += read_until(process, "draining")
    process.send_signal(number)
    code, out, err = finish(process, out)
    assert code == 0, err
    assert "end False 1 True" in out
    assert "drained" not in out
    assert ("interrupted" in out) is (number == signal.SIGINT)


def test_signals_that_come_while_it_starts_are_obeyed() -> None:
    process = program(
        """
class SlowStart(Map):
    def on_start(self):
        print("ready", flush=True)
        time.sleep(0.2)
graph = chain(Count("source"), SlowStart("slow"), Slow("collect"))
report = scheduler_of(graph).run()
print(report.reason, report.complete)
"""
    )
    out = read_until(process, "ready")
    process.send_signal(signal.SIGTERM)
    code, out, err = finish(process, out)
    assert code == 0, err
    assert "SIGTERM True" in out


@pytest.mark.parametrize("caller", ["open", "wait"])
def test_a_signal_as_run_begins_to_wait_does_not_deadlock(caller: str) -> None:
    """The handler interrupts run() as its thread is about to wait, and what ends the wait is set meanwhile."""
    process = program(
        f"""
import signal
from graphflow.core.sync.latch import Latch
waits = []
def profile(frame, event, arg):
    if event != "c_call" or frame.f_code is not Latch.wait.__code__ or arg.__name__ != "acquire" or waits:
        return
    caller = frame.f_back.f_code
    if "graphflow" in caller.co_filename and caller.co_name == {caller!r}:
        waits.append(caller)
        until(lambda: scheduler.get_stats()["status"] == "running")
        signal.raise_signal(signal.SIGTERM)
class SlowStart(Slow):
    def on_start(self): time.sleep(0.1)
scheduler, graph, last = endless(SlowStart("collect"))
sys.setprofile(profile)
report = scheduler.run()
sys.setprofile(None)
print(report.reason, report.complete, len(waits))
"""
    )
    code, out, err = finish(process)
    assert code == 0, err
    assert "SIGTERM True 1" in out


def test_run_puts_the_earlier_handlers_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    Scheduler().run()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    with pytest.raises((ValueError, OSError)):
        Scheduler().run(signals=(signal.SIGTERM, 9999))
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_run_on_another_thread_leaves_signals_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    during = []

    class Looks(Scheduler):
        def start(self) -> None:
            during.append(signal.getsignal(signal.SIGINT))
            super().start()

    thread = threading.Thread(target=Looks().run)
    thread.start()
    thread.join(DEADLINE_S)
    assert during == [before]


def test_interpreter_exit_drains_what_still_runs() -> None:
    process = program(
        """
scheduler, graph, last = endless()
scheduler.start()
last.expect(10)
print("leaving", flush=True)
"""
    )
    code, out, err = finish(process)
    assert code == 0, err
    assert out.index("leaving") < out.index("drained") < out.index("stopped")
    assert not err


def test_interpreter_exit_is_not_held_up_by_a_handler_that_never_returns() -> None:
    process = program(
        """
gate = Gate("collect")
scheduler, graph, _ = endless(gate)
scheduler.start()
gate.entered.wait()
print("leaving", flush=True)
"""
    )
    code, out, _ = finish(process)
    assert code == 0
    assert "leaving" in out


def test_a_failed_program_drains_too_and_keeps_its_exit_code() -> None:
    process = program(
        """
scheduler, graph, last = endless()
scheduler.start()
last.expect(10)
raise SystemExit(7)
"""
    )
    code, out, err = finish(process)
    assert code == 7, err
    assert "drained" in out


def test_ctrl_c_in_a_waiting_put_leaves_a_graph_that_can_be_stopped() -> None:
    process = program(
        """
gate = Gate("gate")
graph = chain(gate)
graph.expose_input("in", "gate:in", capacity=1)
scheduler = scheduler_of(graph)
scheduler.start()
handle = scheduler.input("in")
handle.put(1)
gate.entered.wait()
handle.put(2)
print("ready", flush=True)
try:
    handle.put(3)
except KeyboardInterrupt:
    print("interrupted", flush=True)
gate.opened.set()
report = scheduler.shutdown()
assert_stopped_clean(graph, report)
print(gate.seen)
"""
    )
    out = read_until(process, "ready")
    threading.Event().wait(0.1)  # it is about to wait; coming too early only tests less
    process.send_signal(signal.SIGINT)
    code, out, err = finish(process, out)
    assert code == 0, err
    assert "interrupted" in out
    assert "[1, 2]" in out
