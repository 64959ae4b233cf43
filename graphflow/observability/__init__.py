"""What an operator sees of a running graph. Each part imports the library it is for only when it is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graphflow.observability.dumping import dump as dump
    from graphflow.observability.logs import ContextFilter as ContextFilter
    from graphflow.observability.logs import RecentLogs as RecentLogs
    from graphflow.observability.logs import json_formatter as json_formatter
    from graphflow.observability.logs import recent_logs as recent_logs
    from graphflow.observability.otel import instrument as instrument
    from graphflow.observability.prometheus import PrometheusCollector as PrometheusCollector

_HOME = {
    "ContextFilter": "logs",
    "PrometheusCollector": "prometheus",
    "RecentLogs": "logs",
    "dump": "dumping",
    "instrument": "otel",
    "json_formatter": "logs",
    "recent_logs": "logs",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(_HOME)}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return list(_HOME)
