"""What running a graph costs: hops, latencies, wake-ups, starts and stops, memory.

python perf/bench_scheduler.py --fast
"""

from __future__ import annotations

from figures import Figures
from hops import add_hops
from latencies import add_latencies
from memory import add_memory


def main() -> None:
    """Measure all."""
    figures = Figures()
    add_hops(figures)
    add_latencies(figures)
    add_memory(figures)


if __name__ == "__main__":
    main()
