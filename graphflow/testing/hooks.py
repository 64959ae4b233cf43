"""The hooks of a node in a simulation: each takes a drawn time, may be made to fail, and runs in one piece."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from graphflow.core.simulation.interleaver import acting
from graphflow.testing.faults import HandlerHangs, HandlerRaises, InjectedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from graphflow.core.messages.message import Message
    from graphflow.graph.node import Node
    from graphflow.testing.simulation import World


class Hooks:
    """What stands between the core and a node's hooks."""

    def __init__(self, world: World, path: str, node: Node, index: int) -> None:
        self._world = world
        self._path = path
        self._node = node
        self._index = index

    def on_start(self) -> object:
        """As the node's."""
        return self._run("on_start", self._node.on_start)

    def on_drain(self) -> object:
        """As the node's."""
        return self._run("on_drain", self._node.on_drain)

    def on_stop(self) -> object:
        """As the node's."""
        return self._run("on_stop", self._node.on_stop)

    def on_error(self, exc: BaseException, msg: Message | None) -> object:
        """As the node's; takes no time."""
        return self._in_one_piece(self._node.on_error, exc, msg)

    def on_message(self, port: str, msg: Message) -> object:
        """As the node's."""
        self._world.message_begins(self._index, msg.is_data())
        return self._run("on_message", self._node.on_message, port, msg, faulty=True)

    def around(self, function: Callable[[Any], object]) -> Callable[[Any], object]:
        """The function of a compiled step, as on_message is called."""

        def step(payload: Any) -> object:
            self._world.message_begins(self._index, data=True)
            return self._run("on_message", function, payload, faulty=True)

        return step

    def on_tick(self) -> object:
        """As the node's."""
        return self._run("on_tick", self._node.on_tick, faulty=True)

    def produce(self) -> Iterator[Any]:
        """As the node's, one step at a time."""
        node: Any = self._node
        return self._stepped("produce", iter(self._in_one_piece(node.produce)))

    def _run(self, hook: str, function: Callable[..., object], *args: object, faulty: bool = False) -> object:
        """Call a hook: the time that it takes passes before what it does or after it."""
        world = self._world
        world.note(f"{self._path}.{hook}")
        late = world.below(2)
        if not late:
            self._spend(hook, faulty)
        result = self._in_one_piece(function, *args)
        if inspect.isgenerator(result):
            return self._stepped(hook, result)
        if late:
            self._spend(hook, faulty)
        return result

    def _stepped(self, hook: str, values: Any) -> Iterator[Any]:
        """A generator that does what `values` does, each step taking its time."""
        thrown: BaseException | None = None
        while True:
            self._world.note(f"{self._path}.{hook}: next")
            self._spend(hook, faulty=hook != "on_drain")
            try:
                value = self._in_one_piece(_next, values, thrown)
            except StopIteration:
                return
            try:
                yield value
                thrown = None
            except GeneratorExit:
                if hasattr(values, "close"):
                    self._in_one_piece(values.close)
                raise
            except BaseException as error:
                thrown = error

    def _in_one_piece(self, function: Callable[..., Any], *args: object) -> Any:
        """Call into the user's code; nobody else goes on before it returns, unless it waits."""
        actor = acting()
        if actor is None or self._world.interleave == "sections":
            return function(*args)
        actor.muted += 1
        try:
            return function(*args)
        finally:
            actor.muted -= 1

    def _spend(self, hook: str, faulty: bool) -> None:
        """Let the time of a hook pass; it may be made to hang or to raise."""
        world = self._world
        actor = acting()
        if actor is None:
            return
        if faulty and world.faulty:
            for fault in world.faults:
                if isinstance(fault, HandlerHangs) and fault.befalls(self._path) and world.luck(fault.chance):
                    world.note(f"{self._path}.{hook} hangs")
                    actor.await_condition(lambda: not world.faulty, fault.seconds)
                if isinstance(fault, HandlerRaises) and fault.befalls(self._path) and world.luck(fault.chance):
                    world.note(f"{self._path}.{hook} is made to raise")
                    raise InjectedError(f"{self._path}.{hook}")
        actor.sleep(world.handler_time())


def _next(values: Any, thrown: BaseException | None) -> Any:
    if thrown is None:
        return next(values)
    if not hasattr(values, "throw"):
        raise thrown
    return values.throw(thrown)
