"""Cost of one put and one get on an edge, beside the queues of the standard library (pyperf).

python perf/bench_edge.py --fast
"""

import queue
from collections import deque

import pyperf

from graphflow import Block, Coalesce, Drop, Edge, Latest, PortSpec


def main() -> None:
    """Measure each pair; read the ratios to deque, not the times."""
    runner = pyperf.Runner()
    plain: deque[int] = deque()
    runner.timeit("deque", "append(1); popleft()", globals={"append": plain.append, "popleft": plain.popleft})
    for name, kind in (("SimpleQueue", queue.SimpleQueue), ("Queue", queue.Queue)):
        standard = kind()
        runner.timeit(name, "put(1); get()", globals={"put": standard.put, "get": standard.get})
    policies = {"Block": Block(), "Drop": Drop(), "Latest": Latest(), "Coalesce": Coalesce(lambda old, new: new)}
    for name, policy in policies.items():
        edge = Edge("a", "out", "b", "in", default_policy=policy)
        runner.timeit(f"Edge {name}", "put(1); get()", globals={"put": edge.try_put, "get": edge.try_get})
    typed = Edge("a", "out", "b", "in", spec=PortSpec("in", int))
    runner.timeit("Edge typed", "put(1); get()", globals={"put": typed.try_put, "get": typed.try_get})


if __name__ == "__main__":
    main()
