"""Programs that fork while a graph runs."""

from __future__ import annotations

from programs import finish, started

COMMON = """
import os, sys, threading, time, warnings
warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*multi-threaded.*fork")
from graphflow import *
from graphs import *

def running():
    remote, last = Remote(), Collect()
    graph = chain(remote, last)
    graph.expose_input("remote", "remote:calls")
    graph.expose_output("out", "remote:out")
    scheduler = scheduler_of(graph)
    scheduler.start()
    return scheduler, graph, remote, last

def forked(child):
    "Run child() in a child process, as a program of its own that ends by itself; returns its exit code."
    pid = os.fork()
    if pid == 0:
        try:
            child()
        except BaseException as error:
            print("the child failed:", repr(error), flush=True)
            os._exit(1)
        sys.exit(7)      # runs the exit handlers
    return ended(pid)

def ended(pid):
    "The exit code of a child; None if it hangs."
    deadline = time.monotonic() + 20
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.kill(pid, 6)
            print("the child hangs", flush=True)
            return None
        time.sleep(0.005)

def goes_on(scheduler, graph, remote, last):
    "The parent's graph works as before, and ends with nothing lost."
    before = len(last.seen)
    for number in range(100):
        remote.emit_there(scheduler, number)
    assert last.expect(before + 100)[before:] == list(range(100))
    assert len(scheduler.output("out").get_many(1000, 5)) == before + 100
    report = scheduler.shutdown(timeout=20)
    assert_stopped_clean(graph, report)
    print("parent went on", flush=True)
"""


def program(text: str) -> str:
    """What the program printed; it is to end well, and to have nothing to complain of."""
    code, out, err = finish(started(COMMON + text))
    assert code == 0, f"{out}\n{err}"
    assert not err
    return out
