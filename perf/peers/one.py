"""Runs one peer in this process, and prints what came out as JSON: python perf/peers/one.py NAME"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import sys

from peers import expected


def main(name: str) -> None:
    """Seconds a hop, or why there are none."""
    try:
        module = importlib.import_module(f"peers.{name}")
    except ImportError as error:
        print(json.dumps({"problem": f"not installed ({error})"}))
        return
    count = module.MESSAGES
    seconds, total = module.run(count)
    problem = None if total == expected(count) else f"wrong: the sum is {total}, not {expected(count)}"
    version = importlib.metadata.version(module.PACKAGE) if module.PACKAGE not in ("", "graphflow") else ""
    print(json.dumps({"problem": problem, "seconds": seconds, "messages": count, "version": version}))


if __name__ == "__main__":
    main(sys.argv[1])
