"""What runs, as a table that fits the terminal: the edges that hold it up first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from graphflow.snapshot.picture import is_blocked, rate_of, short

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from graphflow.snapshot.values import EdgeSnapshot, NodeSnapshot, Snapshot

_BAR = 8  # characters


class LiveTable:
    """The table of a run, drawn again and again. A row that is shown again stays in its place."""

    def __init__(self) -> None:
        self._edges: list[str] = []  # ids, as they were shown last
        self._nodes: list[str] = []  # paths

    def draw(self, now: Snapshot, before: Snapshot | None, height: int) -> RenderableType:
        """Edges and nodes in at most `height` lines: rates since `before`, of an ended run on average."""
        if now.status == "stopped":
            before = None
        seconds = now.run_s if before is None else now.time - before.time
        room = max(height - 9, 4)  # but for titles, headings and what is left out
        edge_lines = min(len(now.edges), max(room // 2, room - len(now.nodes)))
        node_lines = min(len(now.nodes), room - edge_lines)
        urgent = [edge.id for edge in sorted(now.edges.values(), key=_urgency)]
        busiest = sorted(now.nodes, key=lambda path: -_busy_s(now.nodes[path], before))
        self._edges = _placed(self._edges, urgent[:edge_lines], list(now.edges))
        self._nodes = _placed(self._nodes, busiest[:node_lines], list(now.nodes))
        return Group(
            Text(summary(now), style="bold"),
            _edge_table([now.edges[edge] for edge in self._edges], before, seconds),
            *_left_out(len(now.edges) - edge_lines, "edges"),
            _node_table([now.nodes[node] for node in self._nodes], now, before, seconds),
            *_left_out(len(now.nodes) - node_lines, "nodes"),
        )


def _placed(shown: list[str], wanted: list[str], everything: list[str]) -> list[str]:
    """What is wanted: what was shown stays where it was, the rest comes in the order of the graph."""
    staying = {name for name in shown if name in wanted}
    coming = iter([name for name in everything if name in wanted and name not in staying])
    places = [name if name in staying else next(coming, None) for name in shown]
    return [name for name in [*places, *coming] if name is not None]


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
    """The same and what moves, in a line, for where there is no terminal; of an ended run on average."""
    if now.status == "stopped":
        before = None
    seconds = now.run_s if before is None else now.time - before.time
    taken = sum(rate_of(edge, before, seconds) for edge in now.edges.values())
    errors = sum(node.errors for node in now.nodes.values())
    worst = min(now.edges.values(), key=_urgency, default=None)
    fullest = f", fullest {worst.id} {worst.depth}/{worst.capacity}" if worst is not None else ""
    return f"{summary(now)}, {short(taken)} messages/s over all edges, errors {errors}{fullest}"


def _urgency(edge: EdgeSnapshot) -> tuple[bool, float, str]:
    """Sorts what is blocked first, then what is fullest."""
    return not is_blocked(edge), -edge.depth / edge.capacity, edge.id


def _busy_s(node: NodeSnapshot, before: Snapshot | None) -> float:
    earlier = before.nodes.get(node.path) if before is not None else None
    return node.busy_s - (0.0 if earlier is None else earlier.busy_s)


def _edge_table(edges: Sequence[EdgeSnapshot], before: Snapshot | None, seconds: float) -> Table:
    expiring = {"expired": "right"} if any(edge.expired for edge in edges) else {}
    lost = {"dropped": "right", "replaced": "right", **expiring}
    table = _table(edge="left", depth="right", fill="left", rate="right", **lost, blocked="right", band="left")
    for edge in edges:
        blocked = is_blocked(edge)
        table.add_row(
            Text(edge.id),
            f"{edge.depth}/{edge.capacity}",
            Text(_bar(edge)),
            f"{short(rate_of(edge, before, seconds))}/s",
            *(short(getattr(edge, reason)) for reason in lost),
            Text(f"BLOCKED {edge.blocked_s:.1f} s" if blocked else f"{edge.blocked_s:.1f} s"),
            edge.band,
            style="bold red" if blocked else None,
        )
    return table


def _node_table(nodes: Sequence[NodeSnapshot], now: Snapshot, before: Snapshot | None, seconds: float) -> Table:
    table = _table(
        node="left", state="left", messages="right", rate="right", errors="right", busy="right", outbox="right"
    )
    fed = {edge.target for edge in now.edges.values()}
    for node in nodes:
        done = _done(node, now, fed)
        earlier = 0 if before is None or node.path not in before.nodes else _done(before.nodes[node.path], before, fed)
        busy = _busy_s(node, before) / seconds if seconds > 0 else 0.0
        table.add_row(
            Text(node.path),
            node.state,
            short(done),
            f"{short(max(done - earlier, 0) / seconds if seconds > 0 else 0)}/s",
            str(node.errors),
            f"{max(busy, 0.0):.0%}",
            str(node.outbox),
            style="bold red" if node.state == "stopped" else None,
        )
    return table


def _done(node: NodeSnapshot, now: Snapshot, fed: set[str | None]) -> int:
    """Messages that a node has done with; of one that nothing feeds what it has emitted: of each port what the edge
    that was offered most of it was."""
    if node.path in fed:
        return node.messages
    ports: dict[str, int] = {}
    for edge in now.edges.values():
        if edge.source == node.path:
            port = edge.id.partition("->")[0]
            ports[port] = max(ports.get(port, 0), edge.offered + edge.deferred)
    return sum(ports.values())


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
