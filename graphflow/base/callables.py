"""Which form a function has: plain, `async def`, a generator or an async generator.

What counts is what runs when it is called: functools.partial is looked through, and so is an object with `__call__`.
"""

from __future__ import annotations

import functools
import inspect
from typing import Any


def is_coroutine_function(fn: object) -> bool:
    """True for an `async def` that is no generator."""
    return inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(_called(fn))


def is_generator_function(fn: object) -> bool:
    """True for a generator function."""
    return inspect.isgeneratorfunction(_called(fn))


def is_async_generator_function(fn: object) -> bool:
    """True for an async generator function."""
    return inspect.isasyncgenfunction(_called(fn))


def _called(fn: Any) -> object:
    """The function that runs when `fn` is called, as far as that can be seen."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    if callable(fn) and not inspect.isroutine(fn) and not inspect.isclass(fn):
        return type(fn).__call__
    return fn
