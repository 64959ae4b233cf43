"""Calls to try with values that no caller should give: each with good arguments, and what must not change by it."""

from __future__ import annotations

import inspect
import warnings
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from graphflow import GraphflowError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hostile_values import Value

DOCUMENTED = (GraphflowError, TypeError, ValueError, OverflowError, TimeoutError)


@dataclass(frozen=True)
class Target:
    """A call, and arguments that it takes, by name and in order; `named` are those that can only be given by name."""

    name: str
    call: Callable[..., Any]
    good: dict[str, Any]
    named: tuple[str, ...] = ()
    own: tuple[type[BaseException], ...] = ()  # documented errors of this call alone

    def arguments(self, wrong: dict[str, Any], by_name: bool) -> tuple[list[Any], dict[str, Any]]:
        given = {name: value() if isinstance(value, Fresh) else value for name, value in self.good.items()} | wrong
        placed = [] if by_name else [value for name, value in given.items() if name not in self.named]
        return placed, given if by_name else {name: given[name] for name in self.named}


@dataclass(frozen=True)
class Fresh:
    """A good argument that is used up by a call: made for each."""

    make: Callable[[], Any]

    def __call__(self) -> Any:
        return self.make()


@dataclass
class World:
    """Something that calls are made on. `seen` is all that a refused call must leave alone."""

    targets: Callable[[], Iterable[Target]]
    seen: Callable[[], Any] = lambda: None
    renew: Callable[[], bool] = lambda: False  # after a call that was not refused; says whether objects are new
    answered: Counter[str] = field(default_factory=Counter)


def attempt(world: World, target: Target, wrong: dict[str, Value], by_name: bool) -> tuple[str | None, bool]:
    """Make the call. What is wrong with what came of it, or None; and whether the world's objects are new."""
    made = {name: value.make() for name, value in wrong.items()}
    allowed: tuple[type[BaseException], ...] = (
        *DOCUMENTED,
        *target.own,
        *(each for value in wrong.values() for each in value.own),
    )
    placed, named = target.arguments(made, by_name)
    before = world.seen()
    shown = f"{target.name}({', '.join(f'{name}={value.name}' for name, value in wrong.items())})"
    try:
        with warnings.catch_warnings():
            # A coroutine that was refused an argument before it began is no matter of ours.
            warnings.simplefilter("ignore")
            target.call(*placed, **named)
    except allowed as refusal:
        world.answered["refused"] += 1
        if vars(refusal).get("accepted"):  # put_many of an iterator that failed: what came before is in
            return None, world.renew()
        try:
            after = world.seen()
        except Exception as error:
            return f"{shown} was refused, and after that nothing can be seen: {error!r}", world.renew()
        return (None if after == before else f"{shown} was refused, but changed {_difference(before, after)}"), False
    except BaseException as error:
        return f"{shown} raised {type(error).__name__}: {str(error)[:80]} {_where(error)}", world.renew()
    world.answered["taken"] += 1
    return None, world.renew()


def _where(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"at {inspect.getfile(trace.tb_frame)}:{trace.tb_lineno}"


def _difference(before: Any, after: Any) -> str:
    if isinstance(before, tuple) and isinstance(after, tuple) and len(before) == len(after):
        return str([(old, new) for old, new in zip(before, after, strict=True) if old != new])[:300]
    return f"{before} to {after}"[:300]


def sweep(world: World, values: list[Value]) -> list[str]:
    """Every target with every value in place of every one of its arguments, every other one by name."""
    complaints = []
    targets = {target.name: target for target in world.targets()}
    cases = [
        (target.name, name, value, number % 2 == 0)
        for target in targets.values()
        for name in target.good
        for number, value in enumerate(values)
    ]
    for target_name, name, value, by_name in cases:
        complaint, renewed = attempt(world, targets[target_name], {name: value}, by_name)
        complaints += [] if complaint is None else [complaint]
        if renewed:
            targets = {target.name: target for target in world.targets()}
    return complaints
