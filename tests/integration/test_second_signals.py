"""What a second signal does to a run that hangs, and which signals are one."""

from __future__ import annotations

import signal

import pytest
from programs import finish, started

COMMON = """
import os, signal, sys, threading, time
from graphflow import *
from graphs import *
class Drains(Gate):
    def on_drain(self): print("drained", flush=True)
def send(*numbers):
    "Send signals to this process, from another thread, once `when` is set."
    def sends():
        when.wait()
        for number, wait in numbers:
            time.sleep(wait)
            os.kill(os.getpid(), number)
            sent.append(time.monotonic())
    threading.Thread(target=sends, daemon=True).start()
when, sent = threading.Event(), []
def hanging(gate, **config):
    graph = chain(Source("source", range(3)), gate)
    scheduler = scheduler_of(graph, shutdown_timeout_s=20, **config)
    threading.Thread(target=lambda: (gate.entered.wait(), when.set()), daemon=True).start()
    return scheduler
"""


def outcome(text: str) -> str:
    code, out, err = finish(started(COMMON + text))
    assert code == 0, f"{out}\n{err}"
    assert not err
    return out


@pytest.mark.parametrize("second", ["SIGTERM", "SIGHUP"])
def test_a_second_signal_ends_a_run_within_a_second_and_names_what_hangs(second: str) -> None:
    out = outcome(
        f"""
scheduler = hanging(Drains("gate"))
send((signal.SIGTERM, 0), (signal.{second}, 0.3))
report = scheduler.run()
print("took", time.monotonic() - sent[1] < 3, report.reason, report.complete, report.abandoned, flush=True)
"""
    )
    assert "took True SIGTERM False ('gate',)" in out
    assert "drained" not in out


def test_a_drain_that_a_second_signal_cut_short_is_not_complete_though_nothing_is_left() -> None:
    """All messages are handled when it comes; what is missing is an on_drain."""
    out = outcome(
        """
class Both(Map):
    def on_drain(self):
        when.set()
        until(lambda: scheduler.get_stats()["status"] == "stopping")
scheduler = scheduler_of(chain(Source("numbers", []), Both("both"), Drains("last")), shutdown_timeout_s=20)
send((signal.SIGTERM, 0), (signal.SIGTERM, 0.3))
report = scheduler.run()
print("end", report.complete, dict(report.undelivered), report.abandoned, flush=True)
"""
    )
    assert "end False {} ()" in out
    assert "drained" not in out


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_same_signal_again_within_a_tenth_of_a_second_is_one(number: signal.Signals) -> None:
    out = outcome(
        f"""
gate = Drains("gate")
scheduler = hanging(gate)
def opens():
    until(lambda: len(sent) == 2)
    time.sleep(0.1)                             # the handler of the second, if there is one, has run
    gate.opened.set()
threading.Thread(target=opens, daemon=True).start()
send((signal.{number.name}, 0), (signal.{number.name}, 0.001))
report = scheduler.run()
print(report.reason, report.complete, len(gate.seen), flush=True)
"""
    )
    assert "drained" in out
    assert f"{number.name} True 3" in out


def test_another_signal_at_once_is_a_second_one() -> None:
    out = outcome(
        """
scheduler = hanging(Drains("gate"))
send((signal.SIGINT, 0), (signal.SIGTERM, 0.001))
try:
    scheduler.run()
except KeyboardInterrupt:
    report = scheduler.wait()
print(report.complete, report.abandoned, flush=True)
"""
    )
    assert "False ('gate',)" in out


@pytest.mark.parametrize("set_to", ["signal.SIG_IGN", "lambda *_: print('mine', flush=True)"])
def test_a_hangup_that_is_set_otherwise_is_left_alone(set_to: str) -> None:
    out = outcome(
        f"""
handler = {set_to}
signal.signal(signal.SIGHUP, handler)
gate = Drains("gate")
scheduler = hanging(gate)
def opens():
    until(lambda: len(sent) == 1)
    print(scheduler.get_stats()["status"], flush=True)
    gate.opened.set()
threading.Thread(target=opens, daemon=True).start()
send((signal.SIGHUP, 0))
report = scheduler.run()
print(report.reason, report.complete, signal.getsignal(signal.SIGHUP) is handler, flush=True)
"""
    )
    assert "running" in out
    assert "completed True True" in out
    assert ("mine" in out) is ("mine" in set_to)
