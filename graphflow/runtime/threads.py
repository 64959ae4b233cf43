"""What a run waits and runs on: real threads and the machine's clock. A simulation is the other such shell."""

from __future__ import annotations

import threading
import time
from random import Random
from typing import TYPE_CHECKING

from graphflow.core.engine.engine import Engine
from graphflow.core.sync.clock import system_clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from graphflow.graph.plan import Plan
    from graphflow.runtime.config import SchedulerConfig


class Shell:
    """Threads, and time as it passes."""

    def engine(self, plan: Plan, config: SchedulerConfig, token: int, name: str) -> Engine:
        """The run of a graph, without its threads."""
        return Engine(plan, config, token, name, system_clock(), Random)

    def thread(self, target: Callable[..., object], role: str, args: tuple[object, ...] = ()) -> threading.Thread:
        """A daemon thread of the run, not started yet."""
        return threading.Thread(target=target, args=args, name=f"graphflow-{role}", daemon=True)

    def join(self, threads: Iterable[threading.Thread], timeout_s: float) -> None:
        """Wait until the threads have ended, `timeout_s` seconds at most."""
        until = time.monotonic() + timeout_s
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))


THREADS = Shell()
