"""The flight recorder's events as a value: to look through, as JSON, and as a trace that timeline viewers open.

The core keeps the latest events of a run in a ring of `SchedulerConfig.flight_recorder_bytes` (see
core/metrics/recorder); the watchdog notes depths beside it, four times in the time after which it speaks. A recording
is a copy of both at one moment.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

FlightKind = Literal["turn begins", "turn ends", "park", "wake", "tick", "control", "error", "phase", "stall"]

_ELSEWHERE = "other threads"  # the row of events that happen on no worker


@dataclass(frozen=True, slots=True)
class FlightEvent:
    """One thing that the scheduler did."""

    at_s: float
    """Seconds on the monotonic clock of the run; differences count. The clock is read once a turn: a turn begins when
    the one before it on the same worker ended, or when the worker woke."""
    event: FlightKind
    """What kind of thing."""
    worker: str | None
    """"worker-0", "dedicated-1", "loop", ...; None for what no worker did (a tick became due, a phase began)."""
    node: str | None
    """Path of the node, where it is about one."""
    detail: str
    """Of "turn begins" the level it was given for ("lane", "control", "high", "normal"), of "turn ends" "cut" if
    something more urgent was ready, of "phase" which one begins; else ""."""


@dataclass(frozen=True, slots=True)
class FlightDepth:
    """How many messages an edge held at a moment."""

    at_s: float
    """As of the events."""
    edge: str
    """Its id."""
    depth: int
    """Messages, those in the outbox before it not counted."""


@dataclass(frozen=True, slots=True)
class FlightRecording:
    """The latest events of a run, oldest first."""

    graph: str
    """Name of the scheduler."""
    reason: str
    """Why it was taken: "asked", "error" or "stall"."""
    time: float
    """When, in seconds since the epoch."""
    overwritten: int
    """Older events that there was no room for."""
    left_out: int
    """Turns, sleeps and other frequent events of the whole run that came faster than the recorder can hold for the time
    after which the watchdog speaks. They are left out evenly; what a worker is in when it is made is in it still."""
    events: tuple[FlightEvent, ...]
    """Oldest first."""
    depths: tuple[FlightDepth, ...] = ()
    """Oldest first: of every edge when the recording was made, before that of those that held something."""

    def to_dict(self) -> dict[str, Any]:
        """The same as plain dicts, lists, numbers and strings."""
        return asdict(self)

    def to_chrome(self) -> dict[str, Any]:
        """The same in Chrome's trace event format, for `json.dump`: Perfetto opens it.

        One row a worker, with its turns and sleeps as slices and everything else as instants; one counter an edge, with
        its depth.
        """
        rows = _rows(self.events)
        names = [_metadata("process_name", 0, f"graphflow: {self.graph}")]
        names += [_metadata("thread_name", row, name) for name, row in rows.items()]
        return {
            "traceEvents": [*names, *_traced(self.events, rows), *_counters(self.depths)],
            "displayTimeUnit": "ns",
            "otherData": {
                "graph": self.graph,
                "reason": self.reason,
                "overwritten": self.overwritten,
                "left_out": self.left_out,
            },
        }

    def write(self, folder: str | Path, name: str = "flight") -> list[Path]:
        """Write `NAME.json` and `NAME.trace.json` (the Chrome format) into a folder, which is made.

        Returns the two paths. Raises OSError.
        """
        place = Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        paths = [place / f"{name}.json", place / f"{name}.trace.json"]
        for path, content in zip(paths, (self.to_dict(), self.to_chrome()), strict=True):
            path.write_text(json.dumps(content) + "\n")
        return paths


def _rows(events: tuple[FlightEvent, ...]) -> dict[str, int]:
    """The rows of a trace, workers first."""
    workers = sorted({event.worker for event in events if event.worker is not None})
    return {name: row for row, name in enumerate([*workers, _ELSEWHERE], start=1)}


def _metadata(kind: str, row: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "name": kind, "pid": os.getpid(), "tid": row, "args": {"name": name}}


def _traced(events: tuple[FlightEvent, ...], rows: dict[str, int]) -> Iterator[dict[str, Any]]:
    """Slices for what lasts (its end may be missing: it lasts still; its beginning may be overwritten: then it is left
    out), instants for the rest."""
    open_on: dict[int, list[str]] = {row: [] for row in rows.values()}
    for event in events:
        row = rows[event.worker or _ELSEWHERE]
        common = {"pid": os.getpid(), "tid": row, "ts": event.at_s * 1e6}
        if event.event in ("turn begins", "park"):
            name = "asleep" if event.event == "park" else event.node or "?"
            open_on[row].append(name)
            yield {"ph": "B", "name": name, "cat": "turn", **_arguments("level", event.detail), **common}
        elif event.event in ("turn ends", "wake"):
            if open_on[row]:
                ended = _arguments("ended", event.detail)
                yield {"ph": "E", "name": open_on[row].pop(), "cat": "turn", **ended, **common}
        else:
            name = " ".join(filter(None, (event.event, event.node, event.detail)))
            yield {"ph": "i", "name": name, "cat": event.event, "s": "t", **common}


def _arguments(name: str, detail: str) -> dict[str, Any]:
    return {"args": {name: detail}} if detail else {}


def _counters(depths: tuple[FlightDepth, ...]) -> Iterator[dict[str, Any]]:
    for seen in depths:
        yield {
            "ph": "C",
            "name": f"depth of {seen.edge}",
            "cat": "depth",
            "pid": os.getpid(),
            "ts": seen.at_s * 1e6,
            "args": {"messages": seen.depth},
        }
