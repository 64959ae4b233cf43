"""Logging for services: which node a record comes from, JSON lines, and the latest records in memory."""

from __future__ import annotations

import json
import logging
import weakref
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from graphflow.base.arguments import brief
from graphflow.base.events import traceback_of
from graphflow.base.fork_locks import new_lock
from graphflow.core.introspect.current_hook import current_hook

if TYPE_CHECKING:
    from pythonjsonlogger.json import JsonFormatter

_FIELDS = ("graph", "node", "trace_id")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

_all: weakref.WeakSet[RecentLogs] = weakref.WeakSet()


class ContextFilter(logging.Filter):
    """Gives each record `graph`, `node` and `trace_id` of the hook that it is made in; "" outside of hooks.

    A filter for handlers (`handler.addFilter(ContextFilter())`), so that it sees the records of all loggers; with a
    QueueHandler it belongs there, as a listener's thread is in no hook. It lets every record pass. Fields that a record
    has already are left as they are. A message that logs nothing pays nothing: the trace id is made when it is asked
    for here.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Fill in the fields; always True."""
        hook = current_hook()
        graph, node, message = hook if hook is not None else ("", "", None)
        self._give(record, "graph", graph)
        self._give(record, "node", node)
        if not hasattr(record, "trace_id"):
            record.trace_id = "" if message is None else message.get_trace_id()
        return True

    @staticmethod
    def _give(record: logging.LogRecord, name: str, value: str) -> None:
        if not hasattr(record, name):
            setattr(record, name, value)


def json_formatter(**options: Any) -> JsonFormatter:
    """A formatter that makes a JSON object of each record, on a line: timestamp (ISO 8601, UTC), level, logger,
    message, and all fields of the record (event, graph, node, ...); tracebacks as `exc_info`.

    `options` go to python-json-logger's JsonFormatter. Raises ImportError without that (extra "logs").
    """
    try:
        from pythonjsonlogger.json import JsonFormatter
    except ImportError as error:
        raise ImportError("json_formatter() needs python-json-logger: pip install 'graphflow[logs]'") from error
    return JsonFormatter(
        **{
            "fmt": "{levelname}{name}{message}",
            "style": "{",
            "rename_fields": {"levelname": "level", "name": "logger"},
            "timestamp": True,
            **options,
        }
    )


class RecentLogs(logging.Handler):
    """Keeps the latest records in memory, as plain dicts: for dumps, and for a look from inside.

    It keeps text and numbers only, never an object of the caller's: other values of `extra` are kept as their repr, cut
    short. Raises ValueError for a capacity that is none.
    """

    def __init__(self, capacity: int = 1000, level: int = logging.NOTSET) -> None:
        if not isinstance(capacity, int) or isinstance(capacity, bool) or capacity < 1:
            raise ValueError(f"capacity must be a whole number of records, 1 or more, not {capacity!r}")
        super().__init__(level)
        self._kept: deque[dict[str, Any]] = deque(maxlen=capacity)
        self._guard = new_lock()
        self.addFilter(ContextFilter())
        _all.add(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        try:
            kept = as_dict(record)
        except Exception:
            self.handleError(record)
            return
        with self._guard:
            self._kept.append(kept)

    def records(self) -> list[dict[str, Any]]:
        """What is kept, oldest first: time (seconds since the epoch), level, logger, message, thread, the record's
        fields, and `traceback` where there was one."""
        with self._guard:
            return list(self._kept)

    def lines(self) -> list[str]:
        """The same as lines of text."""
        return [_line(record) for record in self.records()]

    def clear(self) -> None:
        """Keep nothing of what came so far."""
        with self._guard:
            self._kept.clear()


def recent_logs() -> list[dict[str, Any]]:
    """What all `RecentLogs` handlers of this process keep, in order of time, each record once."""
    found = {json.dumps(record, sort_keys=True): record for handler in list(_all) for record in handler.records()}
    return sorted(found.values(), key=lambda record: record["time"])


def as_dict(record: logging.LogRecord) -> dict[str, Any]:
    """A record as plain text and numbers."""
    kept: dict[str, Any] = {
        "time": record.created,
        "level": record.levelname,
        "logger": record.name,
        "message": record.getMessage(),
        "thread": record.threadName,
    }
    for name, value in vars(record).items():
        if name in _STANDARD or (name in _FIELDS and value == ""):
            continue
        plain = value is None or isinstance(value, (str, int, float))
        kept.setdefault(name, value if plain else brief(value))
    if record.exc_info and record.exc_info[1] is not None:
        kept["traceback"] = traceback_of(record.exc_info[1])
    return kept


def _line(record: dict[str, Any]) -> str:
    when = datetime.fromtimestamp(record["time"], UTC).isoformat(timespec="milliseconds")
    line = f"{when} {record['level']} {record['logger']}: {record['message']}"
    return f"{line}\n{record['traceback'].rstrip()}" if "traceback" in record else line
