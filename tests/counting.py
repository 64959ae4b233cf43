"""The counting that must hold at every edge, at every moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graphflow import Edge, EdgeSnapshot, EdgeStats


def unaccounted(counts: EdgeStats | EdgeSnapshot) -> int:
    """How many of the items offered became nothing that is counted; 0 where nothing is lost."""
    gone = counts.delivered + counts.dropped + counts.replaced + counts.coalesced + counts.expired + counts.undelivered
    return counts.offered - gone - counts.depth


def assert_conserved(edge: Edge[Any]) -> None:
    """Every item that was offered is accounted for."""
    counts = edge.stats()
    assert unaccounted(counts) == 0, f"{edge.id} has lost count: {counts}"
    assert min(counts.offered, counts.delivered, counts.depth, counts.bytes) >= 0, f"{edge.id}: {counts}"
    assert counts.control_depth <= counts.depth <= counts.peak_depth, f"{edge.id}: {counts}"
