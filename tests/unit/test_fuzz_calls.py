"""Every public call with every kind of wrong value: refused by a documented error, and nothing has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fuzzed_makers
import pytest
from fuzzed import sweep
from hostile_values import VALUES

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("world", fuzzed_makers.WORLDS)
def test_what_is_made_of_a_wrong_value(world: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    complaints = sweep(fuzzed_makers.WORLDS[world], VALUES)
    assert complaints == []
