"""How a scheduler runs: its settings, checked when they are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from graphflow.base.arguments import seconds, whole, writable
from graphflow.graph.error_policy import ErrorPolicy


@dataclass(frozen=True)
class SchedulerConfig:
    """Settings of a Scheduler. Raises TypeError, ValueError or (a time too large) OverflowError naming the field."""

    workers: int = 2
    """Threads that run nodes (those with `dedicated = True` have their own besides)."""
    tick_interval_ms: float = 50
    """Milliseconds between two `on_tick` of a node that does not set its own."""
    fairness_ratio: tuple[int, int, int] = (4, 2, 1)
    """Turns of the bands CONTROL, HIGH and NORMAL in each round in which all are busy."""
    max_batch_per_node: int = 64
    """Messages a node handles at most before others get a turn."""
    outbox_limit: int = 4096
    """Messages a node may have emitted and not yet got rid of; past it `emit` raises BackpressureError."""
    shutdown_timeout_s: float = 2.0
    """Seconds that a shutdown takes at most, unless it is called with a timeout of its own."""
    watchdog_s: float | None = 5.0
    """Seconds after which a hook that has not returned, or an edge that nobody takes from, is reported as stalled; it
    is found within a quarter of that time more. None: never."""
    error_policy: ErrorPolicy = ErrorPolicy.CONTINUE
    """For nodes that do not set their own."""
    name: str | None = None
    """What logs and metrics call the scheduler; None: the name of the first graph registered."""
    metrics: bool = False
    """Time one message in 64: handler time per node and time in queue per edge, in `snapshot()`. Counters are always
    on."""
    flight_recorder_bytes: int = 524_288
    """Memory for the latest scheduler events, 16 bytes each, see `Scheduler.flight_recording()`; 0 keeps none."""
    flight_folder: str | Path | None = None
    """Where a recording is written when a node's error stops the graph or something stalls (at most 16 a run); None:
    nowhere, it can still be read."""

    def __post_init__(self) -> None:
        whole("workers", self.workers, 1, 1024)
        tick = seconds("tick_interval_ms", self.tick_interval_ms, zero=False)
        if not 0.01 <= tick <= 1e12:
            raise ValueError(f"tick_interval_ms must be from 0.01 to 1e12 milliseconds, not {self.tick_interval_ms!r}")
        whole("max_batch_per_node", self.max_batch_per_node, 1, 2**31 - 1)
        whole("outbox_limit", self.outbox_limit, 1, 2**31 - 1)
        seconds("shutdown_timeout_s", self.shutdown_timeout_s)
        if self.watchdog_s is not None:
            seconds("watchdog_s", self.watchdog_s, zero=False)
        if not isinstance(self.error_policy, ErrorPolicy):
            raise TypeError(f"error_policy must be an ErrorPolicy, not {self.error_policy!r}")
        if self.name is not None and (not isinstance(self.name, str) or not self.name):
            raise TypeError(f"name must be a non-empty str or None, not {self.name!r}")
        if self.name is not None:
            object.__setattr__(self, "name", writable("name", self.name))
        if not isinstance(self.metrics, bool):
            raise TypeError(f"metrics must be True or False, not {self.metrics!r}")
        whole("flight_recorder_bytes", self.flight_recorder_bytes, 0, 2**30)
        if self.flight_folder is not None and not isinstance(self.flight_folder, (str, Path)):
            raise TypeError(f"flight_folder must be a path or None, not {self.flight_folder!r}")
        ratio = self.fairness_ratio
        if isinstance(ratio, str) or not isinstance(ratio, Sequence) or len(ratio) != 3:
            raise TypeError(f"fairness_ratio must be three whole numbers (CONTROL, HIGH, NORMAL), not {ratio!r}")
        for share in ratio:
            whole("fairness_ratio", share, 1, 1_000_000)
        object.__setattr__(self, "fairness_ratio", tuple(ratio))
