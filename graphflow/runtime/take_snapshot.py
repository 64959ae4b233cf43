"""Puts a snapshot or its short form together: what the core counts, and what only the graph and its settings say."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from graphflow.core.introspect.snapshot import survey_edge, survey_node, survey_scheduler
from graphflow.snapshot.values import (
    EdgeSnapshot,
    NodeSnapshot,
    SchedulerSnapshot,
    Snapshot,
    StallSnapshot,
    frozen,
)

if TYPE_CHECKING:
    from graphflow.core.cells.cell import Cell
    from graphflow.core.engine.engine import Engine
    from graphflow.graph.plan import Link, PlacedNode, Plan
    from graphflow.runtime.run import Run


_BRIEFLY = ("depth", "peak_depth", "capacity", "offered", "delivered")  # of each edge, in the short form


def take_snapshot(name: str, plan: Plan, run: Run | None) -> Snapshot:
    """What the scheduler `name` looks like now; `run` is its latest, if there is one."""
    engine = None if run is None else run.engine
    cells = {} if engine is None else {cell.path: cell for cell in engine.cells}
    return Snapshot(
        graph=name,
        status="new" if run is None else run.status,
        time=time.time(),
        run_s=0.0 if run is None else run.lasted_s(),
        scheduler=_scheduler(engine, 0 if run is None else run.workers()),
        nodes=frozen({placed.path: _node(cells.get(placed.path), placed) for placed in plan.nodes}),
        edges=frozen({link.edge.id: _edge(engine, plan, link) for link in plan.links}),
        stalls=() if run is None else tuple(_stall(stall) for stall in run.stalls()),
    )


def take_stats(plan: Plan, run: Run | None) -> dict[str, Any]:
    """The short form: what `Scheduler.get_stats` answers; `run` is its latest, if there is one."""
    runnable, blocked = run.engine.counts() if run is not None else (0, 0)
    edges = {link.edge.id: link.edge.stats() for link in plan.links}
    return {
        "status": "new" if run is None else run.status,
        "nodes_count": len(plan.nodes),
        "edges_count": len(edges),
        "runnable_nodes": runnable,
        "blocked_nodes": blocked,
        "nodes": {} if run is None else {cell.path: cell.counts() for cell in run.engine.cells},
        "stalls": [] if run is None else run.stalls(),
        "edges": {edge_id: {name: getattr(stats, name) for name in _BRIEFLY} for edge_id, stats in edges.items()},
    }


def _scheduler(engine: Engine | None, workers: int) -> SchedulerSnapshot:
    found = survey_scheduler(engine)
    return SchedulerSnapshot(workers=workers, **{**found, "turns": frozen(found["turns"])})


def _node(cell: Cell | None, placed: PlacedNode) -> NodeSnapshot:
    return NodeSnapshot(path=placed.path, max_concurrency=placed.node.max_concurrency, **survey_node(cell))


def _edge(engine: Engine | None, plan: Plan, link: Link) -> EdgeSnapshot:
    edge = link.edge
    return EdgeSnapshot(
        id=edge.id,
        source=None if link.source is None else plan.nodes[link.source].path,
        target=None if link.target is None else plan.nodes[link.target].path,
        policy=type(edge.default_policy).__name__,
        max_bytes=edge.max_bytes,
        control_capacity=edge.control_capacity,
        **survey_edge(engine, link),
    )


def _stall(stall: dict[str, object]) -> StallSnapshot:
    return StallSnapshot(**{**stall, "chain": tuple(stall["chain"])})  # type: ignore[arg-type]
