"""Values that no caller should give, made afresh each time: a table of them, and what of theirs may come through."""

from __future__ import annotations

import types
import weakref
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn
from unittest import mock

from hostile import HUGE, INF, NAN, Hostile, Touched

from graphflow import (
    Coalesce,
    Edge,
    ErrorPolicy,
    Latest,
    Message,
    MessageType,
    Node,
    Port,
    PortDirection,
    PortSpec,
    PriorityBand,
    Scheduler,
    SchedulerConfig,
    Subgraph,
)

if TYPE_CHECKING:
    from collections.abc import Callable

OPERATIONS: dict[type, tuple[str, ...]] = {
    object: (
        *(
            "__repr__",
            "__str__",
            "__bool__",
            "__len__",
            "__iter__",
            "__getitem__",
            "__contains__",
            "__call__",
            "__hash__",
        ),
        *("__index__", "__int__", "__float__", "__eq__", "__lt__", "__ge__", "__getattr__", "__getattribute__", "keys"),
    ),
    str: (
        "__repr__",
        "__str__",
        "__len__",
        "__contains__",
        "__eq__",
        "__hash__",
        "__getattribute__",
        "split",
        "__lt__",
    ),
    int: ("__repr__", "__index__", "__float__", "__eq__", "__hash__", "__lt__", "__le__", "__bool__"),
    list: ("__repr__", "__iter__", "__len__", "__getitem__"),
}


def _touch(*_: object, **__: object) -> NoReturn:
    raise Touched


def raising(base: type, *names: str) -> type:
    """A subclass of `base` whose named methods raise Touched."""
    return type("Raising", (base,), {"__hash__": base.__hash__, **dict.fromkeys(names, _touch)})


class Fickle:
    """A number that is fine when it is looked at first, and absurd after that."""

    def __init__(self, *numbers: Any) -> None:
        self.numbers = list(numbers)

    def __index__(self) -> int:
        return self.numbers.pop(0) if len(self.numbers) > 1 else self.numbers[0]  # type: ignore[no-any-return]

    def __float__(self) -> float:
        return float(self.__index__())


class OtherText(str):
    """Text that says it is another, and compares and hashes as neither."""

    hashes = 0

    def __str__(self) -> str:
        return "x:y->z"

    def __eq__(self, other: object) -> bool:
        return False

    def __hash__(self) -> int:
        self.hashes += 1
        return self.hashes

    def __contains__(self, other: object) -> bool:
        return False


class Agreeable:
    """Whatever it is asked for, it has, and that is again itself."""

    def __getattr__(self, name: str) -> Any:
        return self

    def __call__(self, *_: object, **__: object) -> Any:
        return self


class LyingMeta(type):
    def __instancecheck__(cls, instance: object) -> bool:
        raise Touched

    def __subclasscheck__(cls, subclass: type) -> bool:
        raise Touched


class Lying(metaclass=LyingMeta):
    """A class that cannot tell its instances."""


def recursive(container: Any) -> Any:
    if isinstance(container, dict):
        container["self"] = container
    else:
        container.append(container)
    return container


def deep(levels: int = 100_000) -> Any:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


def released() -> memoryview:
    view = memoryview(b"abc")
    view.release()
    return view


def broken_items() -> Any:
    yield "first"
    raise Touched


@dataclass(frozen=True)
class Value:
    """A value to be made, and the errors of its own that a call may let through."""

    name: str
    make: Callable[[], Any]
    own: tuple[type[BaseException], ...] = (Touched,)


def _same(value: Any) -> Any:
    return value


def _plain() -> list[Value]:
    """What is equal whenever it is made."""
    values: list[Any] = [
        *(None, True, False, 0, 1, 3, -1, 2**31, 2**63, -(2**63) - 1, 2**70, HUGE, -HUGE, 0.0, -0.0, 1.5, -1.5),
        *(NAN, INF, -INF, 5e-324, 1e308, 1j, Decimal(-1), Fraction(1, 3), Fraction(HUGE)),
        *(
            "",
            "x",
            "a:b",
            "a/b",
            "a->b",
            "\ud800",
            "\x00",
            "\n",
            "in",
            "a:out",
            "é" * 1000,
            b"",
            b"in",
            bytearray(b"x"),
        ),
        *((), (1, 2), ("a", "out"), ("", ""), ("a", "out", "x"), frozenset(), range(0), ..., NotImplemented),
        *(int, object, Node, Message, type, list[int], Lying, Latest, PortDirection, len, types),
        *(MessageType.DATA, PortDirection.INPUT, PriorityBand.HIGH, ErrorPolicy.STOP_NODE, 10**5000),
    ]
    return [Value(_shown(value), partial(_same, value)) for value in values]


def _shown(value: object) -> str:
    try:
        return ascii(value)[:40]
    except ValueError:  # too many digits
        return "10**5000"


_MADE: dict[str, Callable[[], Any]] = {
    "hostile": Hostile,
    "agreeable": Agreeable,
    "fickle capacity": lambda: Fickle(3, -1),
    "fickle and huge": lambda: Fickle(3, HUGE),
    "index of another type": lambda: Fickle("3"),
    "other text": lambda: OtherText("in"),
    "text endpoint": lambda: type("Text", (str,), {})("a:out"),
    "number": lambda: type("Number", (int,), {})(3),
    "[]": list,
    "{}": dict,
    "set()": set,
    "{1: 2}": lambda: {1: 2},
    "recursive list": lambda: recursive([]),
    "recursive dict": lambda: recursive({}),
    "recursive tuple": lambda: (recursive([]),),
    "object": object,
    "empty iterator": lambda: iter(()),
    "broken iterator": broken_items,
    "released view": released,
    "message": lambda: Message(MessageType.DATA, 1),
    "control": lambda: Message(MessageType.CONTROL, 1),
    "node": lambda: Node("other", "in", "out"),
    "subgraph": lambda: Subgraph("other"),
    "edge": lambda: Edge("q", "out", "r", "in"),
    "spec": lambda: PortSpec("spec", int),
    "port": lambda: Port("port", PortDirection.OUTPUT),
    "keyed": lambda: Coalesce(max, key=len),
    "scheduler": Scheduler,
    "config": SchedulerConfig,
    **{f"mock of {kind.__name__}": partial(mock.MagicMock, spec=kind) for kind in (Node, Subgraph, Message)},
    "node that was never constructed": lambda: Node.__new__(Node),
    "subgraph that was never constructed": lambda: Subgraph.__new__(Subgraph),
    **{
        f"{base.__name__} whose {name} raises": raising(base, name)
        for base, names in OPERATIONS.items()
        for name in names
    },
}

VALUES = [
    *_plain(),
    *(Value(name, make) for name, make in _MADE.items()),
    Value("deep list", deep, (RecursionError,)),
    Value("signalling nan", lambda: Decimal("sNaN"), (InvalidOperation,)),
    Value("dead proxy", lambda: weakref.proxy(Fickle(1)), (ReferenceError,)),
]
