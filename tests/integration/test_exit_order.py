"""Objects that outlive the names of their modules at the end of the interpreter, as most do without the GIL."""

from __future__ import annotations

from programs import finish, started

# Modules that are alive when the interpreter ends are cleared one by one, the latest first: what `early` holds is
# dropped when every name of graphflow's modules is None. That has been seen to matter on 3.13t only.
PROGRAM = """
import os, sys, threading, types, warnings
early = sys.modules["early"] = types.ModuleType("early")
warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*multi-threaded.*fork")
from graphflow import *
from graphs import *

class Stuck(Node):
    inputs = "in"
    entered, free = threading.Event(), threading.Event()
    def on_message(self, port, msg):
        self.entered.set()
        self.free.wait()

graph = Subgraph.from_nodes("g", [Stuck("stuck")])
graph.expose_input("in", "stuck:in", capacity=4)
scheduler = Scheduler(SchedulerConfig(shutdown_timeout_s=0.05))
scheduler.register(graph)
early.kept = [graph, scheduler, scheduler.input("in"), scheduler.snapshot()]
sys.alive = [module for name, module in sys.modules.items() if name.startswith("graphflow")] + [early]
"""


def ended(text: str) -> str:
    """What the program printed; it is to end well, and to have nothing to complain of."""
    code, out, err = finish(started(PROGRAM + text))
    assert code == 0, f"{out}\n{err}"
    assert not err
    return out


def test_a_scheduler_that_never_ran() -> None:
    ended("")


def test_a_scheduler_whose_handler_never_returns() -> None:
    ended("scheduler.start()\nscheduler.input('in').put(1)\nStuck.entered.wait()\n")


def test_a_scheduler_in_the_middle_of_a_run_in_a_forked_child_that_exits() -> None:
    out = ended(
        """
scheduler.start()
if os.fork() == 0:
    sys.exit(0)
_, status = os.wait()
print("child", os.waitstatus_to_exitcode(status))
"""
    )
    assert out == "child 0\n"
