"""A process that forks while a graph runs: the child's scheduler does nothing and says so, the parent goes on."""

from __future__ import annotations

from forking import program


def test_every_call_of_the_childs_scheduler_is_refused_and_the_parent_goes_on() -> None:
    out = program(
        """
scheduler, graph, remote, last = running()
EDGE = "remote:out->collect:in"
calls = {
    "input": lambda: scheduler.input("remote"), "output": lambda: scheduler.output("out"),
    "register": lambda: scheduler.register(Map("new")), "start": scheduler.start, "run": scheduler.run,
    "wait": scheduler.wait, "wait a little": lambda: scheduler.wait(0.1), "shutdown": scheduler.shutdown,
    "stop": lambda: scheduler.shutdown(drain=False, timeout=0),
    "pause": lambda: scheduler.pause("remote"), "resume": lambda: scheduler.resume("remote"),
    "set_capacity": lambda: scheduler.set_capacity(EDGE, 5),
    "set_priority": lambda: scheduler.set_priority(EDGE, PriorityBand.HIGH),
    "get_stats": scheduler.get_stats, "with": scheduler.__enter__,
}
def child():
    assert not scheduler.is_running()
    for name, call in calls.items():
        try:
            call()
        except SchedulerStateError as error:
            assert "forked child" in str(error) and "make a new Scheduler" in str(error), (name, error)
        else:
            raise AssertionError(name + " was not refused")
    print("refused", len(calls), flush=True)
parent = os.getpid()
print("exit code", forked(child), flush=True)
assert scheduler.is_running()
goes_on(scheduler, graph, remote, last)
"""
    )
    assert "refused 15" in out
    assert "exit code 7" in out
    assert "parent went on" in out


def test_a_new_scheduler_works_in_the_child() -> None:
    out = program(
        """
scheduler, graph, remote, last = running()
def child():
    last = Collect()
    graph = chain(Source("source", range(500)), Map("map"), last, capacity=4)
    report = run_graph(graph)
    assert_stopped_clean(graph, report)
    assert last.seen == list(range(500))
    print("child ran", flush=True)
print("exit code", forked(child), flush=True)
goes_on(scheduler, graph, remote, last)
"""
    )
    assert "child ran" in out
    assert "exit code 7" in out
    assert "parent went on" in out


def test_a_child_that_drops_everything_ends_and_disturbs_nobody() -> None:
    """Its copies of the scheduler, the nodes and the edges are freed without a warning, a wait or a crash."""
    out = program(
        """
import gc
kept = list(running())
def child():
    kept.clear()
    gc.collect()
for _ in range(3):
    print("exit code", forked(child), flush=True)
goes_on(*kept)
"""
    )
    assert out.count("exit code 7") == 3
    assert "parent went on" in out


def test_a_hook_may_fork_too() -> None:
    """The child then has one thread, that of the worker, and goes on inside the hook."""
    out = program(
        """
scheduler, graph, remote, last = running()
def fork_there():
    pid = os.fork()
    if pid == 0:
        try:
            assert not scheduler.is_running()
            try:
                scheduler.shutdown()
            except SchedulerStateError:
                os._exit(7)
            os._exit(1)
        finally:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
print("exit code", remote.call(scheduler, fork_there), flush=True)
goes_on(scheduler, graph, remote, last)
"""
    )
    assert "exit code 7" in out
    assert "parent went on" in out


def test_forks_in_the_middle_of_traffic_leave_the_parent_whole() -> None:
    """Locks may be held when it forks: the child touches none of them."""
    out = program(
        """
last = Collect()
graph = chain(Source("source", range(20000)), Map("a"), Map("b"), last, capacity=8)
scheduler = scheduler_of(graph, workers=4)
scheduler.start()
def child():
    for call in (scheduler.shutdown, scheduler.get_stats):
        try:
            call()
        except SchedulerStateError:
            continue
        raise AssertionError("not refused")
print("exit codes", {forked(child) for _ in range(8)}, flush=True)
report = scheduler.wait(25)
assert last.seen == list(range(20000))
assert_stopped_clean(graph, report)
print("parent went on", flush=True)
"""
    )
    assert "exit codes {7}" in out
    assert "parent went on" in out
