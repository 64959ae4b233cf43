"""What a stop leaves behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ShutdownReport:
    """How a run ended, from `run()`, `wait()` and `shutdown()`.

    A report with `complete=False` and no `timed_out` is a request: the graph is still stopping.
    """

    complete: bool
    """Nothing was left behind: what was accepted was handled or is counted under a reason, every hook returned, and no
    node held anything. No drain that was asked for or had begun, and no rest before another attempt, was cut short."""
    timed_out: bool
    """The stop ran out of time."""
    reason: str
    """Why the run ended: "completed", "shutdown", "error", a signal's name, or "stopping" for a request."""
    undelivered: Mapping[str, int] = field(default_factory=dict)
    """Items left on each edge (by its id), the edge's share of its producer's outbox included; no zeros."""
    errors: Mapping[str, tuple[BaseException, ...]] = field(default_factory=dict)
    """The first errors of each node that had any (at most 8 a node), by its path."""
    error_counts: Mapping[str, int] = field(default_factory=dict)
    """All errors of each node that had any, by its path."""
    failed_sources: tuple[str, ...] = ()
    """Sources whose `produce` raised, by path."""
    abandoned: tuple[str, ...] = ()
    """Nodes whose hook had not returned when the time was up, by path."""
    abandoned_tasks: tuple[str, ...] = ()
    """Tasks that async hooks had started on the scheduler's event loop, and that had not ended when they were cancelled
    and the time was up, by name."""
    held_back: Mapping[str, int] = field(default_factory=dict)
    """What nodes held when the run had ended, by path, no zeros: what they say (`Node.buffered`), payloads of a batch
    that was not sent, and one for each generator or coroutine that was closed before its end."""
    backing_off: Mapping[str, int] = field(default_factory=dict)
    """Messages that were to be tried again and for which the stop left no time, by path of the node, no zeros. Under a
    drain their policy's `then` was applied; else they count as abandoned."""

    def __str__(self) -> str:
        """The report in a few lines, the empty parts left out."""
        failed = ", with errors" if self.error_counts else ""
        lines = [f"{self.reason}: {'complete' if self.complete else 'not complete'}{failed}"]
        if self.timed_out:
            lines.append("  ran out of time")
        lines += [f"  {count} undelivered on {edge}" for edge, count in self.undelivered.items()]
        lines += [f"  {count} error{'s' if count > 1 else ''} in {node}" for node, count in self.error_counts.items()]
        lines += [f"  source {node} failed" for node in self.failed_sources]
        lines += [f"  {node} never returned from its hook" for node in self.abandoned]
        lines += [f"  {task} did not end when it was cancelled" for task in self.abandoned_tasks]
        lines += [f"  {count} held back in {node}" for node, count in self.held_back.items()]
        lines += [f"  {count} not tried again in {node}" for node, count in self.backing_off.items()]
        return "\n".join(lines)
