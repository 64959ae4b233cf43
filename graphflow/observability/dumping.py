"""Everything that is known of a scheduler, written into a folder: for a failed test, a stall, a bug report."""

from __future__ import annotations

import dataclasses
import json
import platform
import sys
import traceback
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import graphflow
from graphflow.core.introspect.ready_queue import line_up
from graphflow.observability.logs import recent_logs
from graphflow.runtime.scheduler import Scheduler

if TYPE_CHECKING:
    from collections.abc import Callable

_LIBRARIES = ("cython", "pydantic", "prometheus-client", "opentelemetry-api", "python-json-logger", "click", "rich")


def dump(scheduler: Scheduler, folder: str | Path, *, seed: object = None) -> list[Path]:
    """Write what is known of a scheduler into `folder`, which is made; returns the paths of the files.

    snapshot.json (see `Snapshot`), queues.json (who is ready, in what order, and what keeps the others), flight.json
    and flight.trace.json (the flight recorder; the latter opens in Perfetto), flight-error.* and flight-stall.* where
    such recordings were kept, logs.jsonl (what `RecentLogs` handlers hold), graph.mmd and graph.dot (the live
    picture), config.json, about.json (versions, platform, and `seed`: that of the caller's random choices).

    It may be called from any thread, in any state of the scheduler, and stops nothing. A part that cannot be had is
    named in errors.txt, the others are written all the same. Raises TypeError for what is no Scheduler, OSError if the
    folder cannot be written to.
    """
    if not isinstance(scheduler, Scheduler):
        raise TypeError(f"dump() takes a Scheduler, not {scheduler!r}")
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    parts: dict[str, Callable[[], str]] = {
        "snapshot.json": lambda: _json(scheduler.snapshot().to_dict()),
        "queues.json": lambda: _json(_queues(scheduler)),
        "logs.jsonl": lambda: "".join(json.dumps(record, default=str) + "\n" for record in recent_logs()),
        "config.json": lambda: _json(_config(scheduler)),
        "about.json": lambda: _json({**_about(), "seed": seed}),
        "graph.mmd": scheduler.to_mermaid,
        "graph.dot": scheduler.to_dot,
    }
    for name, recording in {"flight": scheduler.flight_recording, **_kept(scheduler)}.items():
        parts[f"{name}.json"] = lambda recording=recording: _json(recording().to_dict())  # type: ignore[misc]
        parts[f"{name}.trace.json"] = lambda recording=recording: _json(recording().to_chrome())  # type: ignore[misc]
    return _write(place, parts)


def _write(place: Path, parts: dict[str, Callable[[], str]]) -> list[Path]:
    written = []
    failed = []
    for name, content in parts.items():
        try:
            text = content()
        except Exception:
            failed.append(f"{name}\n{traceback.format_exc()}\n")
            continue
        (place / name).write_text(text, encoding="utf-8")
        written.append(place / name)
    if failed:
        (place / "errors.txt").write_text("".join(failed), encoding="utf-8", errors="backslashreplace")
        written.append(place / "errors.txt")
    return written


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, default=str) + "\n"


def _kept(scheduler: Scheduler) -> dict[str, Callable[[], graphflow.FlightRecording]]:
    return {
        f"flight-{reason}": lambda recording=recording: recording  # type: ignore[misc]
        for reason, recording in scheduler.kept_recordings.items()
    }


def _queues(scheduler: Scheduler) -> dict[str, Any]:
    scheduler.snapshot()  # refuses in a forked child, where a lock may be held for ever
    run = scheduler._run
    return {} if run is None else line_up(run.engine)


def _config(scheduler: Scheduler) -> dict[str, Any]:
    fields = dataclasses.fields(scheduler.config)
    return {field.name: getattr(scheduler.config, field.name) for field in fields}


def _about() -> dict[str, Any]:
    return {
        "graphflow": graphflow.__version__,
        "python": sys.version,
        "gil": getattr(sys, "_is_gil_enabled", lambda: True)(),
        "platform": platform.platform(),
        "switch_interval_s": sys.getswitchinterval(),
        "libraries": {name: version for name in _LIBRARIES if (version := _version(name)) is not None},
    }


def _version(library: str) -> str | None:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None
