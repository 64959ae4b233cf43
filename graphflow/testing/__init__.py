"""Testing graphs: runs in which a seed decides everything that threads leave to chance.

`simulate(graph, seed=...)` runs a graph on a virtual clock, one thread at a time. pytest finds the option
`--graphflow-seed` and the fixtures `graphflow_seed` and `graphflow_simulate` where graphflow is installed.
"""

from graphflow.testing.faults import Fault, HandlerHangs, HandlerRaises, InjectedError, PutTimesOut
from graphflow.testing.outcome import Simulation, SimulationFailed, TraceEvent
from graphflow.testing.simulation import simulate, sleep

__all__ = [
    "Fault",
    "HandlerHangs",
    "HandlerRaises",
    "InjectedError",
    "PutTimesOut",
    "Simulation",
    "SimulationFailed",
    "TraceEvent",
    "simulate",
    "sleep",
]
