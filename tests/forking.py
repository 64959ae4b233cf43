"""Programs that fork while a graph runs."""

from __future__ import annotations

from graphs import DEADLINE_S
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


WAYS = """
import asyncio, atexit, functools, signal
from graphflow.nodes import filter_node, flat_map_node, map_node, sink_node, source_node
parent = os.getpid()
EXPECTED = {"os._exit": 7, "sys.exit": 7, "exec": 7, "return": 0, "raise": 1}
WAYS = list(EXPECTED)
STEP = 20                                       # messages from one fork to the next
codes = {}
sys.excepthook = lambda kind, error, trace: print("raised", error, flush=True) if str(error) == "mine" else None
atexit.register(lambda: print("exit handlers", flush=True) if os.getpid() != parent else None)
class SaysSo(Node):
    "Nothing of a node runs in a child but the hook that has forked."
    inputs, outputs = "in", "out"
    def on_error(self, error, msg): theirs("on_error")
    def on_drain(self): theirs("on_drain")
    def on_stop(self): theirs("on_stop")
def theirs(what):
    if os.getpid() != parent:
        print("went on:", what, flush=True)
def fork_at(number, kind):
    theirs(kind)
    way, rest = divmod(number, STEP)
    if rest or way >= len(WAYS):
        return number
    pid = os.fork()
    if pid == 0:
        leave(WAYS[way])
    else:
        codes[kind, WAYS[way]] = ended(pid)
    return number
def leave(way):
    if way == "os._exit":
        os._exit(7)
    if way == "sys.exit":
        sys.exit(7)
    if way == "exec":
        os.execve("/bin/sh", ["sh", "-c", "exit 7"], {})   # no sanitizer: a shell crashes under its library
    if way == "raise":
        raise ValueError("mine")
def check():
    wrong = {key: code for key, code in codes.items() if code != EXPECTED[key[1]]}
    print(len(codes), "wrong:", wrong, flush=True)
"""

EVERY_KIND = """
class Emits(SaysSo):
    def on_message(self, port, msg):
        fork_at(msg.payload, self.name)
        if os.getpid() == parent:
            self.emit("out", msg.payload)
class Yields(SaysSo):
    def on_message(self, port, msg):
        fork_at(msg.payload, self.name)
        yield msg.payload
        theirs("after a yield")
class Awaits(SaysSo):
    async def on_message(self, port, msg):
        fork_at(msg.payload, self.name)
        await asyncio.sleep(0) if os.getpid() == parent else None
        if os.getpid() == parent:
            self.emit("out", msg.payload)
class Streams(SaysSo):
    async def on_message(self, port, msg):
        fork_at(msg.payload, self.name)
        yield msg.payload
        theirs("after a yield")
class Several(Yields): max_concurrency = 2
class Retries(Yields): error_policy = ErrorPolicy.retry(3, backoff_s=0.001)
class Dedicated(Emits): dedicated = True
def nodes(seen):
    "One of each kind, in a line; `seen` gets what arrives."
    def produce():
        for number in range(STEP * len(WAYS)):
            yield fork_at(number, "source")
            theirs("source after a yield")
    last = sink_node(lambda number: seen.append(fork_at(number, "sink")), "sink")
    at = lambda kind: functools.partial(fork_at, kind=kind)
    return [
        source_node(produce(), "source"), Emits("emits"), Yields("yields"), Awaits("awaits"), Streams("streams"),
        Several("several"), Retries("retries"), Dedicated("dedicated"), map_node(at("map"), "map"),
        flat_map_node(lambda number: [fork_at(number, "flat")], "flat"),
        filter_node(lambda number: fork_at(number, "filter") >= 0, "filter"), last,
    ]
"""


def program(text: str, deadline_s: float = DEADLINE_S) -> str:
    """What the program printed; it is to end well, and to have nothing to complain of."""
    code, out, err = finish(started(COMMON + text), deadline_s=deadline_s)
    assert code == 0, f"{out}\n{err}"
    assert not err
    return out
