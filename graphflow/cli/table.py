"""What runs, as a table that fits the terminal: the edges that hold it up first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from graphflow.pictures import is_blocked, rate_of, short

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from graphflow.snapshot import EdgeSnapshot, NodeSnapshot, Snapshot

_BAR = 8  # characters


def live_table(now: Snapshot, before: Snapshot | None, height: int) -> RenderableType:
    """Edges and nodes in at most `height` lines, rates since `before`."""
    seconds = now.run_s if before is None else now.time - before.time
    room = max(height - 9, 4)  # but for titles, headings and what is left out
    edges = sorted(now.edges.values(), key=_urgency)
    nodes = list(now.nodes.values())
    edge_lines = min(len(edges), max(room // 2, room - len(nodes)))
    node_lines = min(len(nodes), room - edge_lines)
    return Group(
        Text(summary(now), style="bold"),
        _edge_table(edges[:edge_lines], before, seconds),
        *_left_out(len(edges) - edge_lines, "edges"),
        _node_table(_busiest(nodes, before, node_lines), before, seconds),
        *_left_out(len(nodes) - node_lines, "nodes"),
    )


def summary(now: Snapshot) -> str:
    """The scheduler in a line."""
    itself = now.scheduler
    blocked = sum(is_blocked(edge) for edge in now.edges.values())
    if now.status == "stopped":
        return f"{now.graph}: stopped after {now.run_s:.1f} s"
    stalls = f", STALLED: {len(now.stalls)}" if now.stalls else ""
    busy = itself.workers - itself.parked_workers
    return (
        f"{now.graph}: {now.status} for {now.run_s:.1f} s, workers busy {busy} of {itself.workers}, "
        f"nodes ready {itself.runnable_nodes}, edges blocked {blocked}{stalls}"
    )


def plain_line(now: Snapshot, before: Snapshot | None) -> str:
    """The same and what moves, in a line, for where there is no terminal."""
    seconds = now.run_s if before is None else now.time - before.time
    taken = sum(rate_of(edge, before, seconds) for edge in now.edges.values())
    errors = sum(node.errors for node in now.nodes.values())
    worst = min(now.edges.values(), key=_urgency, default=None)
    fullest = f", fullest {worst.id} {worst.depth}/{worst.capacity}" if worst is not None else ""
    return f"{summary(now)}, {short(taken)} messages/s over all edges, errors {errors}{fullest}"


def _urgency(edge: EdgeSnapshot) -> tuple[bool, float, str]:
    """Sorts what is blocked first, then what is fullest."""
    return not is_blocked(edge), -edge.depth / edge.capacity, edge.id


def _busiest(nodes: Sequence[NodeSnapshot], before: Snapshot | None, count: int) -> list[NodeSnapshot]:
    """In graph order, those that were busiest lately."""
    chosen = sorted(nodes, key=lambda node: -_busy_s(node, before))[:count]
    return [node for node in nodes if node in chosen]


def _busy_s(node: NodeSnapshot, before: Snapshot | None) -> float:
    earlier = before.nodes.get(node.path) if before is not None else None
    return node.busy_s - (0.0 if earlier is None else earlier.busy_s)


def _edge_table(edges: Sequence[EdgeSnapshot], before: Snapshot | None, seconds: float) -> Table:
    table = _table(edge="left", depth="right", fill="left", rate="right", dropped="right", blocked="right", band="left")
    for edge in edges:
        blocked = is_blocked(edge)
        lost = edge.dropped + edge.replaced + edge.expired
        table.add_row(
            Text(edge.id),
            f"{edge.depth}/{edge.capacity}",
            Text(_bar(edge)),
            f"{short(rate_of(edge, before, seconds))}/s",
            short(lost),
            Text(f"BLOCKED {edge.blocked_s:.1f} s" if blocked else f"{edge.blocked_s:.1f} s"),
            edge.band,
            style="bold red" if blocked else None,
        )
    return table


def _node_table(nodes: Sequence[NodeSnapshot], before: Snapshot | None, seconds: float) -> Table:
    table = _table(
        node="left", state="left", messages="right", rate="right", errors="right", busy="right", outbox="right"
    )
    for node in nodes:
        earlier = before.nodes.get(node.path) if before is not None else None
        done = node.messages - (0 if earlier is None else earlier.messages)
        busy = _busy_s(node, before) / seconds if seconds > 0 else 0.0
        table.add_row(
            Text(node.path),
            node.state,
            short(node.messages),
            f"{short(max(done, 0) / seconds if seconds > 0 else 0)}/s",
            str(node.errors),
            f"{max(busy, 0.0):.0%}",
            str(node.outbox),
            style="bold red" if node.state == "stopped" else None,
        )
    return table


def _table(**columns: Any) -> Table:
    table = Table(box=None, pad_edge=False, expand=True, header_style="underline")
    for number, (name, side) in enumerate(columns.items()):
        first = number == 0
        table.add_column(name, justify=side, no_wrap=True, overflow="ellipsis", ratio=1 if first else None)
    return table


def _bar(edge: EdgeSnapshot) -> str:
    full = min(edge.depth / edge.capacity, 1.0)
    count = round(full * _BAR) if full in (0.0, 1.0) else min(max(round(full * _BAR), 1), _BAR - 1)
    return "█" * count + "░" * (_BAR - count)


def _left_out(count: int, what: str) -> list[Text]:
    return [Text(f"... and {count} more {what}", style="dim")] if count > 0 else []
