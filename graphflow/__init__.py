"""An in-process dataflow runtime: small nodes, typed bounded edges, worker threads."""

import sys

__version__ = "0.1.0"

try:
    from graphflow.core.edges.edge import Edge
    from graphflow.core.edges.policy import (
        Block,
        Coalesce,
        Drop,
        Latest,
        Policy,
        PutResult,
        block,
        coalesce,
        drop,
        latest,
    )
    from graphflow.core.messages.message import Message, MessageType
    from graphflow.core.messages.port import Port, PortDirection, PortSpec
except ImportError as _missing:
    if "nterpreter" in str(_missing):  # so do CPython and Cython name what is wrong then
        raise ImportError(
            "graphflow works in one interpreter of a process, that which imports it first (import it in the main "
            f"one); in a sub-interpreter (mod_wsgi: WSGIApplicationGroup %{{GLOBAL}}) it can't be imported ({_missing})"
        ) from _missing
    raise ImportError(
        "graphflow's compiled core is missing, or is not for this Python "
        f"({sys.version_info[0]}.{sys.version_info[1]}): run `pip install .`, or `make build` in a "
        f"checkout ({_missing})"
    ) from _missing

from graphflow.base.errors import (
    BackpressureError,
    EdgeClosed,
    GraphflowError,
    GraphValidationError,
    SchedulerStateError,
    SchemaError,
    UnknownEdgeError,
)
from graphflow.base.issues import ValidationIssue
from graphflow.core.edges.stats import EdgeStats
from graphflow.core.messages.dead_letter import DeadLetter
from graphflow.core.metrics.distribution import Distribution
from graphflow.graph.error_policy import ErrorPolicy
from graphflow.graph.node import Node
from graphflow.graph.priority import PriorityBand
from graphflow.graph.subgraph import Subgraph
from graphflow.runtime.config import SchedulerConfig
from graphflow.runtime.handles import Input, Output
from graphflow.runtime.report import ShutdownReport
from graphflow.runtime.scheduler import Scheduler
from graphflow.snapshot.flight import FlightDepth, FlightEvent, FlightRecording
from graphflow.snapshot.values import EdgeSnapshot, NodeSnapshot, SchedulerSnapshot, Snapshot, StallSnapshot

__all__ = [
    "BackpressureError",
    "Block",
    "Coalesce",
    "DeadLetter",
    "Distribution",
    "Drop",
    "Edge",
    "EdgeClosed",
    "EdgeSnapshot",
    "EdgeStats",
    "ErrorPolicy",
    "FlightDepth",
    "FlightEvent",
    "FlightRecording",
    "GraphValidationError",
    "GraphflowError",
    "Input",
    "Latest",
    "Message",
    "MessageType",
    "Node",
    "NodeSnapshot",
    "Output",
    "Policy",
    "Port",
    "PortDirection",
    "PortSpec",
    "PriorityBand",
    "PutResult",
    "Scheduler",
    "SchedulerConfig",
    "SchedulerSnapshot",
    "SchedulerStateError",
    "SchemaError",
    "ShutdownReport",
    "Snapshot",
    "StallSnapshot",
    "Subgraph",
    "UnknownEdgeError",
    "ValidationIssue",
    "block",
    "coalesce",
    "drop",
    "latest",
]
