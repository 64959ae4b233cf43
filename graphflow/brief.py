"""Values in messages: short, whatever they are."""

import reprlib

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 100


def brief(value: object) -> str:
    """The repr of a value in about 100 characters; also for one that is huge, or whose repr raises."""
    return _short.repr(value)
