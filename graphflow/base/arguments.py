"""What users give in calls, checked: numbers, and ids of edges."""

from __future__ import annotations

import reprlib
import threading
from collections.abc import Iterable

TIMEOUT_MAX = threading.TIMEOUT_MAX


def whole(name: str, value: object, lowest: int, highest: int) -> int:
    """A whole number from `lowest` to `highest`; TypeError or ValueError naming `name`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number, not {value!r}")
    if not lowest <= value <= highest:
        raise ValueError(f"{name} must be from {lowest} to {highest}, not {value!r}")
    return value


def seconds(name: str, value: object, *, zero: bool = True) -> float:
    """A finite number of seconds as a float; TypeError, ValueError or (too large) OverflowError naming `name`."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number of seconds, not {value!r}")
    if value != value or value < 0 or (value == 0 and not zero):  # NaN is the one number that differs from itself
        raise ValueError(f"{name} must be {'zero or more' if zero else 'more than zero'} seconds, not {value!r}")
    if value > TIMEOUT_MAX:
        raise OverflowError(f"{name} must be at most {TIMEOUT_MAX:.0f} seconds (threading.TIMEOUT_MAX), not {value!r}")
    return float(value)


def edge_id_of(value: object) -> str:
    """What may be the id of an edge, as a plain str; TypeError for what may not."""
    if not isinstance(value, str):
        raise TypeError(f"edge_id must be a str like 'a:out->b:in', not {value!r}")
    return str.__str__(value)


def check_iterable(name: str, value: object) -> None:
    """TypeError naming `name` for what cannot be iterated over. (By its type: nothing of the value is called.)"""
    if not isinstance(value, Iterable) and not hasattr(type(value), "__getitem__"):
        raise TypeError(f"{name} must be an iterable, not {value!r}")


def writable(name: str, text: str) -> str:
    """Text as a plain str; ValueError naming `name` for what no file and no exporter can hold."""
    plain = str.__str__(text)
    try:
        plain.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name} must not hold half a surrogate pair, as {plain!r} does") from None
    return plain


_short = reprlib.Repr()
_short.maxstring = _short.maxother = 100


def brief(value: object) -> str:
    """The repr of a value in about 100 characters; also for one that is huge, or whose repr raises."""
    return _short.repr(value)
