"""A scheduler's numbers and traces for OpenTelemetry."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Self

from graphflow.base.errors import SchedulerStateError
from graphflow.base.fork_locks import new_lock
from graphflow.core.metrics.distribution import Distribution
from graphflow.observability.readings import EDGE, NODE, SCHEDULER, Reading
from graphflow.runtime.scheduler import Scheduler
from graphflow.snapshot.values import Snapshot

try:
    from opentelemetry import metrics
    from opentelemetry.metrics import Observation

    from graphflow.observability.otel_spans import OtelSpans
except ImportError as _missing:
    raise ImportError("instrument() needs the OpenTelemetry API: pip install 'graphflow[otel]'") from _missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from opentelemetry.metrics import CallbackOptions, Meter, MeterProvider
    from opentelemetry.trace import TracerProvider

QUANTILES = (0.5, 0.9, 0.99)

_instrumented: weakref.WeakKeyDictionary[Scheduler, Instrumentation] = weakref.WeakKeyDictionary()


def instrument(
    scheduler: Scheduler,
    meter_provider: MeterProvider | None = None,
    tracer_provider: TracerProvider | None = None,
) -> Instrumentation:
    """Export a scheduler's numbers, and if `tracer_provider` is given its traces, to OpenTelemetry.

    Metrics are observable instruments over `Scheduler.snapshot()`, of `meter_provider` or else the global one. Traces
    have a span for each call of `on_message`; for those of the global provider give
    `opentelemetry.trace.get_tracer_provider()`. It works before, during and over several runs, and does not keep the
    scheduler alive. `close()` what it returns, or use it as a context manager, to end it.

    Raises TypeError for what is no Scheduler or no provider, SchedulerStateError if the scheduler is instrumented
    already, ImportError without the API (extra "otel").
    """
    if not isinstance(scheduler, Scheduler):
        raise TypeError(f"instrument() takes a Scheduler, not {scheduler!r}")
    _check_provider("meter_provider", meter_provider, "get_meter")
    _check_provider("tracer_provider", tracer_provider, "get_tracer")
    before = _instrumented.get(scheduler)
    if before is not None and not before.closed:
        raise SchedulerStateError(f"{scheduler.name} is instrumented already: close() that first")
    _instrumented[scheduler] = made = Instrumentation(scheduler, meter_provider, tracer_provider)
    return made


def _check_provider(name: str, provider: object, method: str) -> None:
    if provider is not None and not callable(getattr(provider, method, None)):
        raise TypeError(f"{name} must have a method {method}, or be None, not {provider!r}")


class Instrumentation:
    """What `instrument` has begun. After `close()` its instruments report nothing and nothing is traced."""

    def __init__(
        self, scheduler: Scheduler, meter_provider: MeterProvider | None, tracer_provider: TracerProvider | None
    ) -> None:
        self.closed: bool = False
        self._scheduler = weakref.ref(scheduler)
        self._guard = new_lock()  # guards the next two
        self._snapshot: Snapshot | None = None
        self._served: set[str] = set()  # instruments that have read it
        self._traces = tracer_provider is not None
        if tracer_provider is not None:
            scheduler.set_spans(OtelSpans(tracer_provider, scheduler.name))
        try:
            self._make_instruments(metrics.get_meter("graphflow", meter_provider=meter_provider))
        except BaseException:
            self.close()  # what failed traces nothing, and the instruments that were made report nothing
            raise

    def close(self) -> None:
        """End the export; a second time is ignored."""
        scheduler = self._scheduler()
        if not self.closed and self._traces and scheduler is not None:
            scheduler.set_spans(None)
        self.closed = True
        self._snapshot = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------------------------------ instruments

    def _make_instruments(self, meter: Meter) -> None:
        for reading in (*EDGE, *NODE, *SCHEDULER):
            name = f"graphflow.{reading.of}.{reading.name}"
            if reading.kind == "histogram":
                about = f"{reading.meaning}: quantiles"
                meter.create_observable_gauge(name, [self._callback(name, reading, _quantiles)], "s", about)
                timed = f"{name}.timed"
                about = f"{reading.meaning}: how many were timed"
                meter.create_observable_counter(timed, [self._callback(timed, reading, _count)], "{event}", about)
            elif reading.kind == "counter":
                callback = self._callback(name, reading, _values)
                meter.create_observable_counter(name, [callback], reading.unit, reading.meaning)
            else:
                callback = self._callback(name, reading, _values)
                meter.create_observable_gauge(name, [callback], reading.unit, reading.meaning)

    def _callback(
        self, name: str, reading: Reading, observe: Callable[[Reading, Any], Iterable[tuple[Any, dict[str, Any]]]]
    ) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def callback(options: CallbackOptions) -> Iterator[Observation]:
            snapshot = self._snapshot_for(name)
            if snapshot is not None:
                for attributes, part in _parts(snapshot, reading.of):
                    for value, more in observe(reading, part):
                        yield Observation(value, {**attributes, **more})

        return callback

    def _snapshot_for(self, name: str) -> Snapshot | None:
        """One snapshot for all instruments of a collection: a new one when an instrument comes for the second time."""
        scheduler = self._scheduler()
        if self.closed or scheduler is None:
            return None
        with self._guard:
            if self._snapshot is None or name in self._served:
                self._snapshot = scheduler.snapshot()
                self._served.clear()
            self._served.add(name)
            return self._snapshot


def _parts(snapshot: Snapshot, of: str) -> Iterator[tuple[dict[str, Any], Any]]:
    """What a reading is read from, with its attributes: each edge, each node, or the snapshot itself."""
    graph = {"graphflow.graph": snapshot.graph}
    if of == "edge":
        yield from (({**graph, "graphflow.edge": edge_id}, edge) for edge_id, edge in snapshot.edges.items())
    elif of == "node":
        yield from (({**graph, "graphflow.node": path}, node) for path, node in snapshot.nodes.items())
    else:
        yield graph, snapshot


def _values(reading: Reading, part: Any) -> Iterator[tuple[Any, dict[str, Any]]]:
    value = reading.read(part)
    if reading.split is None:
        yield value, {}
    else:
        yield from ((each, {f"graphflow.{reading.split}": name}) for name, each in value.items())


def _quantiles(reading: Reading, part: Any) -> Iterator[tuple[Any, dict[str, Any]]]:
    value: Distribution | None = reading.read(part)
    if value is not None and value.count:
        yield from ((value.quantile(q), {"graphflow.quantile": q}) for q in QUANTILES)


def _count(reading: Reading, part: Any) -> Iterator[tuple[Any, dict[str, Any]]]:
    value: Distribution | None = reading.read(part)
    if value is not None:
        yield value.count, {}
