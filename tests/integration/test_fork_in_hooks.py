"""A hook that forks goes on in the child, and nothing else of the run does: the child ends where the hook ends."""

from __future__ import annotations

import pytest
from forking import EVERY_KIND, WAYS, program


@pytest.mark.parametrize("ways", [("os._exit", "exec"), ("sys.exit", "return"), ("raise",)], ids="-".join)
def test_in_every_kind_of_node_the_child_ends_with_its_hook(ways: tuple[str, ...]) -> None:
    """The nodes stand in one line, so that there is traffic before and behind each."""
    out = program(
        WAYS
        + EVERY_KIND
        + f"WAYS = {list(ways)}\n"
        + """
seen = []
graph = chain(*nodes(seen), capacity=4)
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
# Four forks are in its stop.
scheduler = scheduler_of(Forks("forks"), chain(Tasks("tasks")), shutdown_timeout_s=DEADLINE_S)
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
