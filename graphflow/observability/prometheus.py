"""A scheduler's numbers for Prometheus, read from a snapshot when they are scraped."""

from __future__ import annotations

import logging
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graphflow.base.events import say
from graphflow.core.metrics.distribution import Distribution
from graphflow.observability.readings import EDGE, NODE, SCHEDULER, Reading
from graphflow.runtime.scheduler import Scheduler
from graphflow.snapshot.values import Snapshot

try:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
    from prometheus_client.registry import Collector
except ImportError as _missing:
    raise ImportError("PrometheusCollector needs prometheus-client: pip install 'graphflow[metrics]'") from _missing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Metric

log: logging.Logger = logging.getLogger("graphflow.prometheus")

# Powers of two of a nanosecond, for which the counts are exact: 1 microsecond to 17 seconds.
BOUNDS = tuple(2**power / 1e9 for power in range(10, 35, 2))

_FAMILIES = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily, "histogram": HistogramMetricFamily}


@dataclass(frozen=True, slots=True)
class _Scraped:
    graph: str
    snapshot: Snapshot


class PrometheusCollector(Collector):
    """A collector for prometheus_client: `registry.register(PrometheusCollector(scheduler, ...))`.

    One collector serves any number of schedulers; a second one in the same registry is refused by prometheus_client, as
    its metrics have the same names. Each scheduler is a `graph` in the labels; of two with one name the second is
    "name-2". A scheduler that is dropped is not exported any more: it is not kept alive.

    Raises TypeError for what is no Scheduler, ImportError without prometheus-client (extra "metrics").
    """

    def __init__(self, *schedulers: Scheduler) -> None:
        self._schedulers: list[weakref.ref[Scheduler]] = []
        for scheduler in schedulers:
            self.add(scheduler)

    def add(self, scheduler: Scheduler) -> None:
        """Export another scheduler, too; once, however often it is added."""
        if not isinstance(scheduler, Scheduler):
            raise TypeError(f"PrometheusCollector takes Schedulers, not {scheduler!r}")
        if scheduler not in [known() for known in self._schedulers]:
            self._schedulers.append(weakref.ref(scheduler))

    def describe(self) -> Iterator[Metric]:
        """The metrics without samples, so that registering the collector takes no snapshot."""
        for reading, labels in _all_readings():
            yield _family(reading, labels)

    def collect(self) -> Iterator[Metric]:
        """The metrics of every scheduler as it is now."""
        scraped = list(self._scrape())
        for reading, labels in _all_readings():
            family = _family(reading, labels)
            for each in scraped:
                for values, part in _parts(each, reading.of):
                    _add_samples(family, reading, values, part)
            yield family

    def _scrape(self) -> Iterator[_Scraped]:
        names: dict[str, int] = {}
        for known in self._schedulers:
            scheduler = known()
            if scheduler is None:
                continue
            names[scheduler.name] = count = names.get(scheduler.name, 0) + 1
            name = scheduler.name if count == 1 else f"{scheduler.name}-{count}"
            try:
                yield _Scraped(name, scheduler.snapshot())
            except Exception as error:
                say(log, "scrape_error", "the numbers of %s cannot be read", name, exc_info=error, graph=name)


def _all_readings() -> list[tuple[Reading, tuple[str, ...]]]:
    kinds: list[tuple[tuple[Reading, ...], tuple[str, ...]]] = [
        (EDGE, ("graph", "edge")),
        (NODE, ("graph", "node")),
        (SCHEDULER, ("graph",)),
    ]
    return [(reading, labels) for readings, labels in kinds for reading in readings]


def _family(reading: Reading, labels: tuple[str, ...]) -> Any:
    name = f"graphflow_{reading.of}_{reading.prometheus}"
    split = () if reading.split is None else (reading.split,)
    return _FAMILIES[reading.kind](name, reading.meaning, labels=(*labels, *split))


def _parts(scraped: _Scraped, of: str) -> Iterator[tuple[list[str], Any]]:
    """What a reading is read from, with its labels' values: each edge, each node, or the snapshot itself."""
    snapshot = scraped.snapshot
    if of == "edge":
        yield from (([scraped.graph, edge_id], edge) for edge_id, edge in snapshot.edges.items())
    elif of == "node":
        yield from (([scraped.graph, path], node) for path, node in snapshot.nodes.items())
    else:
        yield [scraped.graph], snapshot


def _add_samples(family: Any, reading: Reading, labels: list[str], part: Any) -> None:
    value = reading.read(part)
    if isinstance(value, Distribution):
        counts = value.cumulative(BOUNDS)
        buckets = [*zip((f"{bound:.10g}" for bound in BOUNDS), counts, strict=True), ("+Inf", value.count)]
        family.add_metric(labels, buckets, value.sum)
    elif reading.split is not None:
        for name, each in value.items():
            family.add_metric([*labels, name], each)
    elif value is not None:
        family.add_metric(labels, value)
