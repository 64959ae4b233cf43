"""The second, tighter gate: instructions that a put and a get take, and a hop, counted by callgrind.

python perf/instructions.py check | baseline

Counts do not depend on how busy the machine is: two runs differ in the last digit. What is compared is the count of one
operation (from runs of two lengths, so that starting up drops out) over that of the yardstick, a deque pair. Compilers
differ, so the limit is one of this project's own building: with another compiler refresh the baseline first.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
# As wheels call it: a build without the GIL has figures of its own.
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}{'t' if sysconfig.get_config_var('Py_GIL_DISABLED') else ''}"
BASELINE = HERE / "baseline" / f"instructions-{PYTHON}.json"
LIMIT = 1.05
FEW, MANY = 3_000, 13_000
PLANT = float(os.environ.get("GRAPHFLOW_BENCH_PLANT", "0"))

SETUP = "from graphflow import Edge, Message, MessageType, PortSpec\nfrom collections import deque\n"
# Whole runs of perf/hops.py: the number of messages is that of the module.
HOPS = {"hop.class": "of_classes", "hop.compiled_map": "of_maps", "hop.compiled_filter": "of_filters"}
RUN = "import hops\nhops.MESSAGES = {times}\nhops.running(hops.{make})(1, lambda: 0.0)\n"
WORK = {
    "deque": ("q = deque(); put, get = q.append, q.popleft", "put(1); get()"),
    "edge.block": ("e = Edge('a', 'o', 'b', 'i'); put, get = e.try_put, e.try_get", "put(1); get()"),
    "edge.typed": (
        "e = Edge('a', 'o', 'b', 'i', spec=PortSpec('i', int)); put, get = e.try_put, e.try_get",
        "put(1); get()",
    ),
    "message.new": ("data = MessageType.DATA", "Message(data, 1)"),
}


def count(name: str, times: int) -> int:
    """Instructions of a process that does it so many times."""
    if name in HOPS:
        program = RUN.format(times=times, make=HOPS[name])
    else:
        prepare, work = WORK[name]
        program = f"{SETUP}def main():\n    {prepare}\n    for _ in range({times}):\n        {work}\nmain()\n"
    path = os.pathsep.join([str(HERE.parent), str(HERE)])
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": path}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", sys.executable, "-c", program]
        subprocess.run(command, env=environment, check=True, capture_output=True)
        found = re.search(r"^(?:summary|totals): (\d+)", out.read_text(), re.MULTILINE)
    if found is None:
        raise RuntimeError("callgrind wrote no total")
    return int(found[1])


def measure() -> dict[str, float]:
    """Instructions of each operation over those of the yardstick."""
    each = {}
    for name in (*WORK, *HOPS):
        many = MANY if name == "deque" else MANY + int((MANY - FEW) * PLANT)
        operations = (MANY - FEW) * (3 if name in HOPS else 1)  # three hops a message
        each[name] = (count(name, many) - count(name, FEW)) / operations
    return {name: round(cost / each["deque"], 4) for name, cost in each.items() if name != "deque"}


def main() -> int:
    """Compare, or make the baseline."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["check", "baseline"])
    parser.add_argument("--baseline", type=Path, default=BASELINE)
    given = parser.parse_args()
    if shutil.which("valgrind") is None:
        print("bench-instructions needs valgrind: install it (apt-get install valgrind)", file=sys.stderr)
        return 2
    if given.command == "check" and not given.baseline.exists():
        print(f"there is no {given.baseline.name}: python perf/instructions.py baseline", file=sys.stderr)
        return 2
    now = measure()
    if given.command == "baseline":
        given.baseline.parent.mkdir(exist_ok=True)
        given.baseline.write_text(json.dumps(now, indent=1) + "\n")
        return 0
    before: dict[str, float] = json.loads(given.baseline.read_text())
    slower = 0
    for name, cost in now.items():
        verdict = "ok" if cost <= before[name] * LIMIT else "SLOWER"
        slower += verdict != "ok"
        print(f"{name:20} {before[name]:8.4f} {cost:8.4f} {cost / before[name] - 1:+7.1%}  limit x{LIMIT}  {verdict}")
    return int(slower > 0)


if __name__ == "__main__":
    sys.exit(main())
