"""Runs the table of wrong calls in a process of its own: `fuzzed_run.py [WORLD ...]` prints what was wrong, as JSON."""

from __future__ import annotations

import faulthandler
import json
import sys

from fuzzed import World, sweep
from fuzzed_worlds import WORLDS
from hostile_values import VALUES

HANGS_S = 90.0  # many times what it takes


def main(names: list[str]) -> None:
    faulthandler.enable()
    faulthandler.dump_traceback_later(HANGS_S, exit=True)
    found: dict[str, list[str]] = {}
    answered: dict[str, dict[str, int]] = {}

    for name in names or WORLDS:

        def act(world: World, name: str = name) -> list[str]:
            complaints = sweep(world, VALUES)
            answered[name] = dict(world.answered)
            return complaints

        place = WORLDS[name]()
        try:
            found[name] = place.run(act)
        finally:
            place.close()
    print(json.dumps({"found": found, "answered": answered}))


if __name__ == "__main__":
    main(sys.argv[1:])
