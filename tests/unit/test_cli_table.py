"""The table of `graphflow run`: which rows it has, in what order, and what it counts."""

from __future__ import annotations

import dataclasses
import io
from typing import Any

import pytest
from rich.console import Console

from graphflow import EdgeSnapshot, NodeSnapshot, Snapshot
from graphflow.cli.table import LiveTable, plain_line
from graphflow.runtime.scheduler import Scheduler


def snapshot_of(edges: int, nodes: int) -> Snapshot:
    empty = Scheduler().snapshot()
    some_edges = {f"a:out->n{number}:in": edge(f"a:out->n{number}:in", number) for number in range(edges)}
    some_nodes = {f"n{number}": node(f"n{number}") for number in range(nodes)}
    return dataclasses.replace(empty, graph="g", status="running", run_s=5.0, nodes=some_nodes, edges=some_edges)


def edge(edge_id: str, depth: int) -> EdgeSnapshot:
    counts = dict.fromkeys(EdgeSnapshot.__dataclass_fields__, 0)
    return EdgeSnapshot(
        **{  # type: ignore[arg-type]
            **counts,
            "id": edge_id,
            "source": "a",
            "target": "b",
            "depth": depth,
            "capacity": 100,
            "band": "normal",
            "policy": "Block",
            "blocked_now": depth == 3,
            "closed": False,
            "max_bytes": None,
            "time_in_queue": None,
        }
    )


def node(path: str) -> NodeSnapshot:
    counts = dict.fromkeys(NodeSnapshot.__dataclass_fields__, 0)
    return NodeSnapshot(**{**counts, "path": path, "state": "idle", "last_error": None, "handler_time": None})  # type: ignore[arg-type]


def drawn(
    now: Snapshot, width: int, height: int, before: Snapshot | None = None, table: LiveTable | None = None
) -> list[str]:
    console = Console(width=width, height=height, record=True, file=io.StringIO())
    console.print((table or LiveTable()).draw(now, before, height))
    return console.export_text().splitlines()


def edges_in(lines: list[str]) -> list[str]:
    return [line.split()[0] for line in lines if "->" in line]


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("height", [24, 50])
@pytest.mark.parametrize(("edges", "nodes"), [(2, 3), (60, 60), (60, 2), (2, 60), (0, 0)])
def test_the_table_fits_the_terminal(edges: int, nodes: int, width: int, height: int) -> None:
    lines = drawn(snapshot_of(edges, nodes), width, height)
    assert len(lines) < height
    assert max(len(line.rstrip()) for line in lines) <= width
    shown = sum("->" in line for line in lines)
    left_out = [int(line.split()[2]) for line in lines if line.endswith("more edges")]
    assert shown + sum(left_out) == edges


def test_where_not_all_edges_fit_the_blocked_and_the_fullest_are_shown_in_the_order_of_the_graph() -> None:
    lines = drawn(snapshot_of(60, 2), 100, 24)
    shown = edges_in(lines)
    assert shown == ["a:out->n3:in", *(f"a:out->n{number}:in" for number in range(61 - len(shown), 60))]
    assert "BLOCKED" in next(line for line in lines if line.startswith("a:out->n3:in"))


def test_a_row_keeps_its_place_whatever_its_edge_holds() -> None:
    table, now = LiveTable(), snapshot_of(5, 3)
    first = edges_in(drawn(now, 100, 40, table=table))
    other = dataclasses.replace(now, edges={name: edge(name, 9 - each.depth) for name, each in now.edges.items()})
    assert edges_in(drawn(other, 100, 40, now, table)) == first == list(now.edges)


def test_an_edge_that_becomes_urgent_takes_the_place_of_one_that_is_not_and_moves_no_other() -> None:
    table, now = LiveTable(), snapshot_of(60, 2)
    first = edges_in(drawn(now, 100, 24, table=table))
    urgent = {**now.edges, "a:out->n10:in": edge("a:out->n10:in", 100), "a:out->n3:in": edge("a:out->n3:in", 0)}
    later = edges_in(drawn(dataclasses.replace(now, edges=urgent), 100, 24, now, table))
    assert first[0] == "a:out->n3:in"
    assert later == ["a:out->n10:in", *first[1:]]


def row_of(name: str, lines: list[str]) -> list[str]:
    return next(line.split() for line in lines if line.split()[:1] == [name])


def test_what_was_dropped_and_what_was_replaced_are_counted_apart() -> None:
    now = snapshot_of(1, 1)
    lost = dataclasses.replace(now.edges["a:out->n0:in"], dropped=7, replaced=5)
    lines = drawn(dataclasses.replace(now, edges={lost.id: lost}), 100, 24)
    heading, row = row_of("edge", lines), row_of(lost.id, lines)
    assert (row[heading.index("dropped")], row[heading.index("replaced")]) == ("7", "5")
    assert "expired" not in heading
    expired = dataclasses.replace(lost, expired=3)
    lines = drawn(dataclasses.replace(now, edges={lost.id: expired}), 100, 24)
    assert row_of(lost.id, lines)[row_of("edge", lines).index("expired")] == "3"


def ran_for_four_seconds(**more: Any) -> Snapshot:
    """A source of two ports, one with two edges, that has emitted 40 and 20, as its edges tell."""
    now = snapshot_of(0, 0)
    offered = {"s:out->a:in": 40, "s:out->b:in": 38, "s:more->b:in": 20}
    edges = {
        name: dataclasses.replace(edge(name, 0), source="s", target=name[-4], offered=count, delivered=count)
        for name, count in offered.items()
    }
    nodes = {name: dataclasses.replace(node(name), messages=0 if name == "s" else 30, busy_s=1.0) for name in "sab"}
    return dataclasses.replace(now, run_s=4.0, time=100.0, edges=edges, nodes=nodes, **more)


def test_what_a_source_has_produced_is_counted() -> None:
    lines = drawn(ran_for_four_seconds(), 100, 40)
    heading = row_of("node", lines)
    assert [row_of(name, lines)[heading.index("messages")] for name in "sab"] == ["60", "30", "30"]
    assert row_of("s", lines)[heading.index("rate")] == "15/s"


def test_when_the_run_has_ended_rates_are_those_of_the_whole() -> None:
    now = ran_for_four_seconds(status="stopped")
    before = dataclasses.replace(now, time=99.0, status="running")  # the last second, in which nothing moved
    lines = drawn(now, 100, 40, before)
    assert row_of("s:out->a:in", lines)[3] == "10/s"
    assert row_of("a", lines)[3:6] == ["7.5/s", "0", "25%"]
    assert " 24.5 messages/s over all edges" in plain_line(now, before)
