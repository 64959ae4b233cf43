"""The shell of a simulated run: threads that run one at a time, and time that jumps."""

from __future__ import annotations

import threading
from random import Random
from typing import TYPE_CHECKING

from graphflow.core.simulation.engine import SimulatedEngine
from graphflow.core.simulation.interleaver import Baton, acting
from graphflow.runtime.threads import Shell
from graphflow.testing.hooks import Hooks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from graphflow.core.simulation.interleaver import Actor
    from graphflow.graph.node import Node
    from graphflow.graph.plan import Plan
    from graphflow.runtime.config import SchedulerConfig
    from graphflow.testing.simulation import World


class ActorThread(threading.Thread):
    """A thread that runs while it holds the baton."""

    def __init__(self, baton: Baton, target: Callable[..., object], name: str, args: tuple[object, ...]) -> None:
        super().__init__(target=target, args=args, name=f"graphflow-{name}", daemon=True)
        self._baton = baton
        self._role = name
        self.actor: Actor | None = None

    def start(self) -> None:
        """Start it; it runs when it is chosen."""
        self.actor = self._baton.enlist(self._role)  # only now: one that is chosen has to exist
        try:
            super().start()
        except BaseException:
            self._baton.strike(self.actor)
            raise

    def run(self) -> None:
        """Run the target, between being chosen for the first time and leaving."""
        assert self.actor is not None
        self.actor.enter()
        try:
            super().run()
        finally:
            self.actor.leave()


class SimulatedShell(Shell):
    """What a run of this world waits and runs on."""

    def __init__(self, world: World) -> None:
        self._world = world

    def engine(self, plan: Plan, config: SchedulerConfig, token: int, name: str) -> SimulatedEngine:
        """The run of a graph, without its threads."""
        engine = SimulatedEngine(plan, config, token, name, self._world.baton, self._new_random, self._hooks)
        self._world.engine = engine
        return engine

    def thread(self, target: Callable[..., object], role: str, args: tuple[object, ...] = ()) -> threading.Thread:
        """A thread of the run, not started yet."""
        return ActorThread(self._world.baton, target, role, args)

    def join(self, threads: Iterable[threading.Thread], timeout_s: float) -> None:
        """Wait until the threads have left, `timeout_s` seconds at most."""
        actors = [thread.actor for thread in threads if isinstance(thread, ActorThread) and thread.actor is not None]
        me = acting()
        assert me is not None
        me.await_condition(lambda: all(map(self._world.baton.gone, actors)), timeout_s)

    def _new_random(self) -> Random:
        return Random(self._world.baton.below(1 << 48))

    def _hooks(self, path: str, node: Node, index: int) -> Hooks:
        return Hooks(self._world, path, node, index)
