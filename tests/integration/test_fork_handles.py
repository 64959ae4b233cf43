"""What a forked child still has in its hands of its parent's run refuses at once, whatever was held at the fork."""

from __future__ import annotations

from forking import program

REFUSALS = """
import asyncio
def handles(scheduler, graph):
    "Calls of everything that was taken of the run before the fork, by name."
    into, out = scheduler.input("remote"), scheduler.output("out")
    inner = edge_of(graph, "remote:out->collect:in")
    calls = {}
    for name, edge in ("input", into.edge), ("output", out.edge), ("inner", inner):
        calls |= {
            f"{name}.try_put": lambda edge=edge: edge.try_put(1),
            f"{name}.put": lambda edge=edge: edge.put(1),
            f"{name}.put_many": lambda edge=edge: edge.put_many([1, 2]),
            f"{name}.try_get": edge.try_get, f"{name}.get": edge.get,
            f"{name}.get_many": lambda edge=edge: edge.get_many(5),
            f"{name}.depth": edge.depth, f"{name}.is_empty": edge.is_empty, f"{name}.is_full": edge.is_full,
            f"{name}.stats": edge.stats, f"{name}.close": edge.close,
            f"{name}.set_capacity": lambda edge=edge: edge.set_capacity(9),
        }
    return calls | {
        "Input.put": lambda: into.put(1), "Input.try_put": lambda: into.try_put(1),
        "Input.control": lambda: into.try_put(Message(MessageType.CONTROL, 1)),
        "Input.put_many": lambda: into.put_many([1]), "Input.close": into.close,
        "Input.aput": lambda: asyncio.run(into.aput(1)),
        "Output.get": out.get, "Output.try_get": out.try_get, "Output.get_many": lambda: out.get_many(3),
        "Output.iter": lambda: list(out), "Output.aget": lambda: asyncio.run(out.aget()),
    }
def refused(calls):
    for name, call in calls.items():
        try:
            got = call()
        except SchedulerStateError as error:
            assert "make a new Scheduler" in str(error), (name, error)
        else:
            raise AssertionError(f"{name} was not refused: {got!r}")
    print("refused", len(calls), flush=True)
"""


def test_every_call_of_a_handle_and_of_an_edge_is_refused() -> None:
    out = program(
        REFUSALS
        + """
scheduler, graph, remote, last = running()
calls = handles(scheduler, graph)
remote.emit_there(scheduler, "before")
last.expect(1)                                  # the exposed output holds something: it is not the child's to take
def child():
    refused(calls)
    print(repr(scheduler.items[0].edges[0]), flush=True)
print("exit code", forked(child), flush=True)
assert scheduler.output("out").get(5).payload == "before"
assert scheduler.shutdown(timeout=20).complete
"""
    )
    assert "refused 47" in out
    assert "exit code 7" in out


def test_handles_are_refused_in_the_middle_of_traffic() -> None:
    """Workers and the keeper hold the scheduler's lock without the GIL: a child may find it held for ever."""
    out = program(
        REFUSALS
        + """
class Ticking(Map):
    tick_interval_ms = 0.05
    def on_tick(self): pass
last = Collect()
graph = chain(Ticking("remote"), Map("b"), last, capacity=4)
graph.expose_input("remote", "remote:in", capacity=4)
scheduler = scheduler_of(graph, workers=2, watchdog_s=0.001)
scheduler.start()
inlet, stop = scheduler.input("remote"), threading.Event()
def putter():
    while not stop.is_set():
        inlet.put(1)
        time.sleep(0)
threads = [threading.Thread(target=putter) for _ in range(1)]
for thread in threads: thread.start()
calls = {"try_put": lambda: inlet.try_put(1), "put": lambda: inlet.put(1), "depth": inlet.edge.depth,
         "close": inlet.close, "control": lambda: inlet.try_put(Message(MessageType.CONTROL, 1))}
codes = [forked(lambda: refused(calls)) for _ in range(12)]
stop.set()
for thread in threads: thread.join()
assert codes == [7] * 12, codes
assert scheduler.shutdown(timeout=20).complete
print("parent went on", flush=True)
"""
    )
    assert out.count("refused 5") == 12
    assert "parent went on" in out


def test_an_edge_of_ones_own_is_the_childs_copy() -> None:
    out = program(
        """
edge = Edge("a", "out", "b", "in", capacity=2)
edge.put(1)
scheduler, *rest = running()
def child():
    edge.put(2)
    assert [edge.get(), edge.get(), edge.try_get()] == [1, 2, None]
    print("own", flush=True)
print("exit code", forked(child), edge.depth(), flush=True)
scheduler.shutdown()
"""
    )
    assert "own" in out
    assert "exit code 7 1" in out


def test_the_edges_of_a_run_that_had_ended_are_free_for_another_in_the_child() -> None:
    out = program(
        """
last = Collect()
graph = chain(Map("map"), last)
graph.expose_input("in", "map:in")
def once():
    scheduler = scheduler_of(graph)
    scheduler.start()
    scheduler.input("in").put(1)
    return scheduler.shutdown(timeout=20).complete
assert once()
def child():
    assert once()
    print("again", len(last.seen), flush=True)
print("exit code", forked(child), flush=True)
"""
    )
    assert "again 2" in out
    assert "exit code 7" in out


def test_a_child_leaves_a_with_block_in_silence() -> None:
    out = program(
        """
graph = chain(Map("map"), Collect())
graph.expose_input("in", "map:in")
scheduler = scheduler_of(graph)
with scheduler:
    pid = os.fork()
    if pid == 0:
        sys.exit(7)
    print("exit code", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""
    )
    assert "exit code 7" in out


def test_a_call_that_waits_raises_in_a_child_that_a_signal_handler_forks() -> None:
    """The thread that waited is the child's only one, and what it waited for is not there."""
    out = program(
        """
import signal
gate = Gate("gate")
graph = chain(gate)
graph.expose_input("in", "gate:in", capacity=1)
scheduler = scheduler_of(graph)
scheduler.start()
inlet = scheduler.input("in")
inlet.put(1)
gate.entered.wait()
inlet.put(2)
children = []
def on_alarm(*_):
    pid = os.fork()
    if pid:
        children.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
signal.signal(signal.SIGALRM, on_alarm)
parent = os.getpid()
for call in (lambda: inlet.put(3, timeout=1), lambda: scheduler.wait(1)):
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        call()
    except TimeoutError:
        assert os.getpid() == parent
    except SchedulerStateError:
        assert os.getpid() != parent
        os._exit(7)
print("exit codes", children, flush=True)
gate.opened.set()
assert scheduler.shutdown(timeout=20).complete
"""
    )
    assert "exit codes [7, 7]" in out
