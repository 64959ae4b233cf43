"""The sanitizer of this build reports a fault of its kind. Run by make tsan and make asan."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys, threading
sys.path.insert(0, {folder!r})
sys.setswitchinterval(1e-5)
import planted
start = threading.Barrier(2)
def race():
    for _ in range(200):
        start.wait()
        planted.race(2000)
if {kind!r} == "thread":
    threads = [threading.Thread(target=race) for _ in range(2)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
else:
    planted.overflow({place})
print("done")
"""


def run(place: int) -> subprocess.CompletedProcess[str]:
    program = PROGRAM.format(folder=str(Path(__file__).parent), kind=os.environ["GRAPHFLOW_SANITIZE"], place=place)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300)


def test_the_fault_is_reported() -> None:
    result = run(place=9)
    words = {"thread": "WARNING: ThreadSanitizer: data race", "address": "heap-buffer-overflow"}
    assert words[os.environ["GRAPHFLOW_SANITIZE"]] in result.stderr, result.stderr
    assert "planted" in result.stderr
    assert result.returncode != 0


def test_what_is_in_order_is_not_reported() -> None:
    if os.environ["GRAPHFLOW_SANITIZE"] == "address":
        assert run(place=7).stdout == "done\n"
    else:
        program = "import graphflow; print(graphflow.Edge('a', 'b', 'c', 'd').try_put(1))"
        result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300)
        assert (result.returncode, result.stderr) == (0, "")
