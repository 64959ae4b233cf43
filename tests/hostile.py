"""Values that no call expects: of wrong types, absurdly large, or that raise when they are looked at."""

from __future__ import annotations

import re
from typing import Any, NoReturn


class Touched(Exception):
    """A method of a hostile value was called."""


class Hostile:
    """Compares, hashes and converts to nothing; only its repr can be had."""

    def _touch(self, *_: object) -> NoReturn:
        raise Touched

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _touch
    __hash__ = _touch
    __index__ = __int__ = __float__ = __bool__ = __len__ = __iter__ = __call__ = _touch

    def __repr__(self) -> str:
        return "<hostile>"


HOSTILE: Any = Hostile()
NAN, INF, HUGE = float("nan"), float("inf"), 10**400

NO_NUMBERS: list[Any] = [None, "3", b"3", [3], True, 1j, object(), HOSTILE]
NO_NAMES: list[Any] = [None, 3, 1.5, True, b"in", ["in"], {}, object(), HOSTILE]


def named(value: object) -> str:
    """The repr without an address: the name of a case, which is the same in every run and process."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))
