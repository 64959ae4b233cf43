"""A pytest plugin for tests/stress: threads change places all the time, and lengths scale with STRESS_SCALE."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SCALE = float(os.environ.get("STRESS_SCALE") or 1)


@pytest.fixture(autouse=True)
def switching(request: pytest.FixtureRequest) -> Iterator[None]:
    """In the stress suite the interpreter changes threads every microsecond, but where a test measures time."""
    before = sys.getswitchinterval()
    if request.node.path.parent.name == "stress" and not request.node.get_closest_marker("measures"):
        sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.fixture
def times() -> Callable[[int], int]:
    """A length of this suite, scaled."""
    return lambda count: max(1, round(count * SCALE))


@pytest.fixture
def lasting() -> Callable[[float], float]:
    """Seconds, scaled."""
    return lambda seconds: seconds * SCALE
