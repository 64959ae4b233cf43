"""What an edge counted, as one consistent snapshot."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EdgeStats:
    """Counts of one edge at one moment, all in items unless said otherwise.

    `offered = delivered + dropped + replaced + coalesced + expired + depth + undelivered`, always.
    """

    offered: int
    """Accepted, discarded or merged: every put but the refused ones."""
    delivered: int
    """Handed to a handler, or returned by a get."""
    dropped: int
    """Newcomers discarded, for any reason."""
    replaced: int
    """Queued items discarded for a newer one."""
    coalesced: int
    """Newcomers merged into a queued item."""
    expired: int
    """Past their time to live."""
    undelivered: int
    """Left behind by a stop, the edge's share of its producer's outbox included."""
    depth: int
    """Here now, control messages included."""
    control_depth: int
    """Of `depth`, those in the control lane."""
    peak_depth: int
    """The largest depth so far."""
    capacity: int
    """Data items the edge holds at most."""
    bytes: int
    """Bytes of the queued data, on an edge that counts them; else 0."""
    blocked: int
    """How often a newcomer found no room and was refused, deferred or made to wait."""
    blocked_s: float
    """Seconds from such a refusal to the next room; control and data add up."""
    enqueued: int
    """Of `offered`, those that entered the queue; the others were dropped or merged at its door."""
    dropped_closed: int
    """Of `dropped`: emitted to a closed edge, or queued for a node that was stopped."""
    dropped_error: int
    """Of `dropped`: emitted while the user's policy raised or answered nonsense."""
    merge_errors: int
    """Merge functions that raised; the newcomer took the item's place (`replaced`)."""
