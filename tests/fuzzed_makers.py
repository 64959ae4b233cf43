"""Calls that make values, for fuzzing: constructors, helpers, and methods of what does not change."""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from fuzzed import Fresh, Target, World
from opentelemetry.metrics import NoOpMeterProvider

import graphflow
from graphflow import (
    Block,
    Coalesce,
    Edge,
    ErrorPolicy,
    FlightRecording,
    Message,
    MessageType,
    Node,
    Port,
    PortDirection,
    PortSpec,
    Scheduler,
    SchedulerConfig,
    Snapshot,
    Subgraph,
)
from graphflow.observability import PrometheusCollector, RecentLogs, dump, instrument
from graphflow.snapshot.picture import short

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = MessageType.DATA
ENDS: dict[str, Any] = {"source_node": "a", "source_port": "out", "target_node": "b", "target_port": "in"}
BOUNDS = {"max_bytes": None, "sizeof": None, "ttl_s": None, "control_capacity": 64}


class Typed(TypedDict):
    a: int


def collector(scheduler: Any) -> PrometheusCollector:
    return PrometheusCollector(scheduler)


def messages() -> Iterator[Target]:
    message = Message(DATA, 1, {"a": 1}, {"b": 2, "trace_id": "t"})
    yield Target("Message", Message, {"type": DATA, "payload": 1, "metadata": None, "headers": None})
    yield Target("Message metadata", lambda value: Message(DATA, 1, {"a": value}, {"a": value}), {"value": 1})
    for name in ("trace_id", "timestamp", "traceparent", "more"):
        yield Target(f"headers {name}", lambda value, name=name: Message(DATA, 1, None, {name: value}), {"value": 1})
        yield Target(
            f"with_headers {name}", lambda value, name=name: message.with_headers(**{name: value}), {"value": 1}
        )
    yield Target("with_payload", message.with_payload, {"payload": 1})
    yield Target("headers.get", message.headers.get, {"key": "a", "default": None})
    yield Target("headers[]", message.headers.__getitem__, {"key": "a"}, own=(KeyError,))
    yield Target("headers ==", lambda value: message.headers == value, {"value": {}})
    yield Target("message ==", lambda value: message == value, {"value": {}})
    yield Target("message repr", lambda value: repr(Message(DATA, value)), {"value": {}})


def ports() -> Iterator[Target]:
    spec = PortSpec("p", int)
    yield Target("PortSpec", PortSpec, {"name": "p", "schema": None, "policy": None})
    yield Target("PortSpec of schemas", lambda value: PortSpec("p", (int, value)), {"value": str})
    yield Target("validate", spec.validate, {"value": 1})
    yield Target("validate a literal", PortSpec("p", Literal[1, "a"]).validate, {"value": 1})
    yield Target("validate a dict", PortSpec("p", Typed).validate, {"value": {"a": 1}})
    yield Target("validate a field", lambda value: PortSpec("p", Typed).validate({"a": value}), {"value": 1})
    yield Target("compatible_with", spec.compatible_with, {"other": spec})
    yield Target("spec ==", lambda value: spec == value, {"value": spec})
    yield Target("Port", Port, {"name": "p", "direction": PortDirection.INPUT, "index": None, "spec": None})


def policies() -> Iterator[Target]:
    for make in (Coalesce, graphflow.coalesce):
        yield Target(make.__name__, make, {"fn": max, "key": None})
    for policy in (Block(), graphflow.drop(), graphflow.latest(), Coalesce(max)):
        good: dict[str, Any] = {"capacity": 3, "size": 1, "item": "x"}
        yield Target(f"{policy!r}.on_enqueue", policy.on_enqueue, good)
        yield Target(f"{policy!r} ==", lambda value, policy=policy: policy == value, {"value": policy})
    for kind in (Block, graphflow.Drop, graphflow.Latest):
        yield Target(f"{kind.__name__} takes none", kind, {"value": 1})
    yield Target("ErrorPolicy.dead_letter", ErrorPolicy.dead_letter, {"port": "out"})
    good = {"attempts": 3, "backoff_s": 0.1, "max_backoff_s": 1.0, "jitter": 0.5, "then": None}
    yield Target("ErrorPolicy.retry", ErrorPolicy.retry, good, named=("max_backoff_s", "jitter", "then"))


def parts() -> Iterator[Target]:
    node = Node("n", "in", "out")
    bounds = {"capacity": 9, "spec": None, "default_policy": None, **BOUNDS}
    yield Target("Edge", Edge, ENDS | bounds, named=tuple(BOUNDS))
    yield Target("Edge unknown", lambda value: Edge(**ENDS, other=value), {"value": 1})  # type: ignore[call-arg]
    yield Target("Node", Node, {"name": "n", "inputs": "in", "outputs": "out"})
    yield Target("Node.with_ports", Node.with_ports, {"name": "n", "ins": "in", "outs": "out"})
    yield Target("Node class", lambda value: type("N", (Node,), {"inputs": value, "outputs": value}), {"value": "x"})
    yield Target("Node of a list", lambda value: Node("n", ["a", value]), {"value": "b"})
    yield Target("input_port", node.input_port, {"name": "in"}, own=(LookupError,))
    yield Target("output_port", node.output_port, {"name": "out"}, own=(LookupError,))
    yield Target("emit outside", node.emit, {"port": "out", "value": 1})
    yield Target("Subgraph", Subgraph, {"name": "g"})
    yield Target("from_nodes", Subgraph.from_nodes, {"name": "g", "nodes": Fresh(lambda: [Node("n")])})
    yield Target("from_nodes of", lambda value: Subgraph.from_nodes("g", [value]), {"value": Fresh(lambda: Node("n"))})


def configs() -> Iterator[Target]:
    fields = {each.name: each.default for each in dataclasses.fields(SchedulerConfig)}
    yield Target("SchedulerConfig", SchedulerConfig, fields)
    yield Target("one of a ratio", lambda value: SchedulerConfig(fairness_ratio=(1, value, 1)), {"value": 1})
    yield Target("Scheduler", Scheduler, {"config": None})


def observers() -> Iterator[Target]:
    scheduler = Scheduler()
    snapshot: Snapshot = scheduler.snapshot()
    latency = snapshot.scheduler.loop_latency
    recording: FlightRecording = scheduler.flight_recording()
    given: Any = {"scheduler": scheduler, "folder": "dumped", "seed": None}
    yield Target("quantile", latency.quantile, {"q": 0.5})
    yield Target("cumulative", latency.cumulative, {"uppers": (1.0,)})
    yield Target("short", short, {"number": 1.0})
    yield Target("RecentLogs", RecentLogs, {"capacity": 10, "level": logging.INFO})
    yield Target("PrometheusCollector", collector, {"scheduler": scheduler})
    yield Target("collector.add", PrometheusCollector().add, {"scheduler": scheduler})
    yield Target(
        "instrument",
        lambda **given: instrument(**given).close(),
        {"scheduler": scheduler, "meter_provider": NoOpMeterProvider(), "tracer_provider": None},
        named=("scheduler", "meter_provider", "tracer_provider"),
    )
    yield Target("dump", dump, given, named=("seed",), own=(OSError,))
    yield Target("recording.write", recording.write, {"folder": "written", "name": "flight"}, own=(OSError,))


WORLDS = {each.__name__: World(each) for each in (messages, ports, policies, parts, configs, observers)}
