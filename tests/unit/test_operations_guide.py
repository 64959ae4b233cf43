"""The alerts in docs/operations.md are rules that Prometheus can load, over metrics that graphflow exports."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from graphflow import Scheduler, SchedulerConfig, Subgraph
from graphflow.base.events import EVENTS
from graphflow.nodes import sink_node, source_node
from graphflow.observability import PrometheusCollector

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
BLOCK = re.compile(r"```yaml\n(.*?)```", re.DOTALL)
METRIC = re.compile(r"graphflow_[a-z_]+")
SELECTED = re.compile(r"(graphflow_[a-z_]+)\{([^}]*)\}")
LABEL = re.compile(r"(\w+)!?=")
GROUPED = re.compile(r"by \(([^)]*)\) \((?:rate\()?(graphflow_[a-z_]+)")
# No YAML parser among the dependencies of the tests: a rule is these lines, so indented, and nothing else.
HEADER = "groups:\n  - name: graphflow\n    rules:\n"
RULE = re.compile(
    r"      - alert: (?P<name>\w+) +# .+\n        expr: (?P<expr>[^\s#'\"].*)\n(?:        for: (?P<lasts>\d+m)\n)?"
)


def exported() -> dict[str, set[str]]:
    """What a real collector exports: the labels of each sample, by its name."""
    graph = Subgraph.from_nodes("service", [source_node(range(100), "numbers"), sink_node(int, "keep")])
    graph.connect("numbers:out", "keep:in")
    scheduler = Scheduler(SchedulerConfig(metrics=True))
    scheduler.register(graph)
    scheduler.run()
    registry = CollectorRegistry()
    registry.register(PrometheusCollector(scheduler))
    return {sample.name: set(sample.labels) for family in registry.collect() for sample in family.samples}


def rules() -> list[tuple[str, str]]:
    (block,) = BLOCK.findall(PAGE)
    assert block.startswith(HEADER)
    body = block.removeprefix(HEADER)
    found = list(RULE.finditer(body))
    assert "".join(match[0] for match in found) == body, "a line of the alerts belongs to no rule"
    return [(match["name"], match["expr"]) for match in found]


def test_every_metric_that_the_page_names_is_exported() -> None:
    samples = exported()
    known = set(samples) | {name.removesuffix("_bucket") for name in samples}
    named = set(METRIC.findall(PAGE))
    assert len(named) > 15
    assert sorted(named - known) == []


@pytest.mark.parametrize("expr", [pytest.param(expr, id=name) for name, expr in rules()])
def test_an_alert_asks_for_samples_and_labels_that_exist(expr: str) -> None:
    samples = exported()
    metrics = METRIC.findall(expr)
    assert metrics
    assert [metric for metric in metrics if metric not in samples] == []  # a histogram has only _bucket and so on
    asked = [(metric, label) for metric, labels in SELECTED.findall(expr) for label in LABEL.findall(labels)]
    asked += [(metric, label) for labels, metric in GROUPED.findall(expr) for label in labels.split(", ")]
    assert [(metric, label) for metric, label in asked if label not in samples[metric]] == []
    assert all(expr.count(opening) == expr.count(closing) for opening, closing in ("()", "[]", "{}"))


def test_alerts_have_names_of_their_own() -> None:
    names = [name for name, _ in rules()]
    assert sorted(set(names)) == sorted(names)


def test_every_log_event_that_the_page_names_exists() -> None:
    (listed,) = re.findall(r"\[Log events\](.*?) whose", PAGE, re.DOTALL)
    events = re.findall(r"`(\w+)`", listed)
    assert len(events) == 10
    assert [event for event in events if event not in EVENTS] == []
