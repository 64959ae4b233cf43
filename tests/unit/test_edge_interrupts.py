"""Ctrl-C while the main thread waits at an edge, each in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

PRELUDE = """
import os, signal, sys, threading, time
from graphflow import Coalesce, Edge, Message, MessageType

# Whoever starts the tests in the background may have left SIGINT ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)

def asleep():
    # State and context switches of the main thread: the same twice when it sleeps.
    try:
        lines = open("/proc/self/status").read().splitlines()
    except OSError:
        return time.monotonic() > started + 0.5     # not Linux
    return [line for line in lines if line.startswith("State") or "ctxt_switches" in line]

started = time.monotonic()

def interrupt_soon():
    def send():
        before = None
        while (now := asleep()) != before or now is False:
            before = now
            time.sleep(0.05)
        global sent
        sent = time.monotonic()
        os.kill(os.getpid(), signal.SIGINT)
    threading.Thread(target=send, daemon=True).start()

def check(edge):
    c = edge.stats()
    assert c.offered == c.delivered + c.dropped + c.replaced + c.coalesced + c.expired + c.depth + c.undelivered, c

edge = Edge("a", "out", "b", "in", 1)
"""

CALLS = {
    "get": "edge.get()",
    "get with a timeout": "edge.get(timeout=30)",
    "get_many": "edge.get_many(3, timeout=None)",
    "put": "edge.put('full'); edge.put('interrupted')",
    "put with a timeout": "edge.put('full'); edge.put('interrupted', timeout=30)",
    "put_many": "edge.put_many(['full', 'interrupted'])",
    "put control": "[edge.put(Message(MessageType.CONTROL, n)) for n in range(65)]",
    "put where items expire": (
        "edge = Edge('a', 'out', 'b', 'in', 1, ttl_s=99); edge.put('full'); edge.put('interrupted')"
    ),
    "put by key": (
        "edge = Edge('a', 'out', 'b', 'in', 1, default_policy=Coalesce(max, key=str));"
        " edge.put('full'); edge.put('interrupted')"
    ),
}

BODY = """
interrupt_soon()
try:
    {call}
except KeyboardInterrupt:
    late = time.monotonic() - sent
    assert late < 2, late
    check(edge)
    held = []
    while (item := edge.try_get()) is not None:
        held.append(item)
    assert "interrupted" not in held, held
    # nobody is left waiting: the next comes and goes as ever
    edge.put("next", timeout=0)
    assert edge.get(timeout=0) == "next"
    check(edge)
    print("interrupted")
"""


def run(code: str) -> str:
    ran = subprocess.run([sys.executable, "-c", PRELUDE + code], capture_output=True, text=True, timeout=30)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


@pytest.mark.parametrize("call", CALLS)
def test_a_wait_on_the_main_thread_ends_at_once_and_leaves_nothing_behind(call: str) -> None:
    assert run(BODY.format(call=CALLS[call])) == "interrupted"


def test_an_interrupted_put_leaves_its_place_to_the_next_in_line() -> None:
    assert (
        run("""
edge.put("full")
def other():
    while not edge.stats().blocked:     # the main thread waits first
        time.sleep(0.001)
    edge.put("patient")
thread = threading.Thread(target=other)
thread.start()
interrupt_soon()
try:
    edge.put("interrupted")
except KeyboardInterrupt:
    print(edge.get(), edge.get(timeout=10))
    thread.join()
    check(edge)
""")
        == "full patient"
    )


def test_a_handler_that_returns_lets_the_wait_go_on() -> None:
    assert (
        run("""
handled = []
def handle(number, frame):
    handled.append(number)
    edge.try_put("from the handler")    # a signal handler may use the very edge that is waited at
signal.signal(signal.SIGINT, handle)
interrupt_soon()
print(edge.get(timeout=20), len(handled))
""")
        == "from the handler 1"
    )


def test_a_thread_that_is_not_the_main_one_is_not_interrupted() -> None:
    assert (
        run("""
got = []
done = threading.Event()
thread = threading.Thread(target=lambda: (got.append(edge.get()), done.set()))
thread.start()
interrupt_soon()
try:
    done.wait()
except KeyboardInterrupt:
    edge.put(1)
    done.wait(10)
    print(got)
""")
        == "[1]"
    )


def test_a_process_with_a_thread_waiting_at_an_edge_can_exit() -> None:
    started = time.monotonic()
    code = """
for call in (edge.get, lambda: edge.put(1), lambda: (edge.put(1), edge.put(2))):
    threading.Thread(target=call, daemon=True).start()
print("done")
"""
    assert run(code) == "done"
    assert time.monotonic() - started < 20
    assert signal.getsignal(signal.SIGINT) is not None
