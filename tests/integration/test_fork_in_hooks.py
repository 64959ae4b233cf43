"""A hook that forks goes on in the child, and nothing else of the run does: the child ends where the hook ends."""

from __future__ import annotations

import pytest
from forking import program

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
        os.execv("/bin/sh", ["sh", "-c", "exit 7"])
    if way == "raise":
        raise ValueError("mine")
def check():
    wrong = {key: code for key, code in codes.items() if code != EXPECTED[key[1]]}
    print(len(codes), "wrong:", wrong, flush=True)
"""


@pytest.mark.parametrize("ways", [("os._exit", "exec"), ("sys.exit", "return"), ("raise",)], ids="-".join)
def test_in_every_kind_of_node_the_child_ends_with_its_hook(ways: tuple[str, ...]) -> None:
    """The nodes stand in one line, so that there is traffic before and behind each."""
    out = program(
        WAYS
        + f"WAYS = {list(ways)}\n"
        + """
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
def produce():
    for number in range(STEP * len(WAYS)):
        yield fork_at(number, "source")
        theirs("source after a yield")
seen = []
last = sink_node(lambda number: seen.append(fork_at(number, "sink")), "sink")
at = lambda kind: functools.partial(fork_at, kind=kind)
nodes = [
    source_node(produce(), "source"), Emits("emits"), Yields("yields"), Awaits("awaits"), Streams("streams"),
    Several("several"), Retries("retries"), Dedicated("dedicated"), map_node(at("map"), "map"),
    flat_map_node(lambda number: [fork_at(number, "flat")], "flat"),
    filter_node(lambda number: fork_at(number, "filter") >= 0, "filter"), last,
]
graph = chain(*nodes, capacity=4)
report = run_graph(graph, workers=2)
check()
print("handled", len(seen), sorted(seen) == list(range(STEP * len(WAYS))), report.complete, flush=True)
"""
    )
    assert f"{12 * len(ways)} wrong: {{}}" in out
    assert f"handled {20 * len(ways)} True True" in out
    assert "went on" not in out
    assert out.count("raised mine") == 12 * ("raise" in ways)
    assert out.count("exit handlers") == 12 * len({"sys.exit", "return", "raise"}.intersection(ways))


def test_in_hooks_of_the_life_cycle_ticks_and_tasks_of_the_loop() -> None:
    out = program(
        WAYS
        + """
STEP = 1
class Forks(Node):
    tick_interval_ms = 1
    def on_start(self): fork_at(3, "on_start")
    def on_tick(self):
        if ("on_tick", "return") not in codes:
            fork_at(3, "on_tick")
            if os.getpid() == parent:
                scheduler.shutdown()
    def on_drain(self): fork_at(3, "on_drain")
    def on_stop(self): fork_at(3, "on_stop")
class Tasks(Node):
    inputs = "in"
    async def on_start(self):
        async def forks(): fork_at(3, "task")
        await asyncio.create_task(forks())
        theirs("the hook behind a task")
    async def on_stop(self): fork_at(3, "async on_stop")
scheduler = scheduler_of(Forks("forks"), chain(Tasks("tasks")))
report = scheduler.run()
check()
print(report.complete, sorted(kind for kind, _ in codes), flush=True)
"""
    )
    assert "6 wrong: {}" in out
    assert "True ['async on_stop', 'on_drain', 'on_start', 'on_stop', 'on_tick', 'task']" in out
    assert "went on" not in out


def test_a_new_scheduler_works_inside_the_hook_of_a_child() -> None:
    out = program(
        WAYS
        + """
def fork_and_run():
    pid = os.fork()
    if pid:
        return ended(pid)
    last = Collect()
    graph = chain(Source("source", range(500)), Map("map"), last, capacity=4)
    assert_stopped_clean(graph, run_graph(graph))
    os._exit(7 if last.seen == list(range(500)) else 8)     # (the node catches what its call raises)
scheduler, graph, remote, last = running()
print("exit code", remote.call(scheduler, fork_and_run), flush=True)
goes_on(scheduler, graph, remote, last)
"""
    )
    assert "exit code 7" in out
    assert "parent went on" in out


def test_emit_in_the_child_is_refused() -> None:
    out = program(
        WAYS
        + """
class Emits(Node):
    inputs, outputs = "in", "out"
    def on_message(self, port, msg):
        pid = os.fork()
        if pid:
            print("exit code", ended(pid), flush=True)
            return
        try:
            self.emit("out", 1)
        except SchedulerStateError as error:
            os._exit(7 if "forked child" in str(error) else 8)
run_graph(chain(Source("source", [1]), Emits("emits"), Collect()))
"""
    )
    assert "exit code 7" in out


def test_a_log_filter_that_forks_on_the_keepers_thread_ends_no_run_twice() -> None:
    out = program(
        WAYS
        + """
import logging
class Forks(logging.Filter):                    # (a handler holds a lock that the child would find free)
    def filter(self, record):
        theirs("the log: " + record.event)
        if record.event == "run_draining":
            pid = os.fork()
            if pid:
                print("exit code", ended(pid), flush=True)
        return True
logging.getLogger("graphflow.scheduler").addFilter(Forks())
logging.getLogger("graphflow").setLevel(logging.INFO)
print(run_graph(chain(Source("source", range(9)), Collect())).complete, flush=True)
"""
    )
    assert "exit code 0" in out
    assert "went on" not in out
