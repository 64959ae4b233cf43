"""Settings and registrations that cannot work are refused where they are made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from graphs import Collect, Map, Source, chain

from graphflow import (
    ErrorPolicy,
    GraphValidationError,
    Message,
    Node,
    Scheduler,
    SchedulerConfig,
    Subgraph,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("workers", 0, ValueError),
        ("workers", -1, ValueError),
        ("workers", 10**6, ValueError),
        ("workers", 1.0, TypeError),
        ("workers", True, TypeError),
        ("workers", "2", TypeError),
        ("tick_interval_ms", 0, ValueError),
        ("tick_interval_ms", -5, ValueError),
        ("tick_interval_ms", float("nan"), ValueError),
        ("tick_interval_ms", "50", TypeError),
        ("fairness_ratio", (4, 2), TypeError),
        ("fairness_ratio", (4, 2, 0), ValueError),
        ("fairness_ratio", (4, 2, 1.5), TypeError),
        ("fairness_ratio", "421", TypeError),
        ("fairness_ratio", 4, TypeError),
        ("max_batch_per_node", 0, ValueError),
        ("max_batch_per_node", 2**40, ValueError),
        ("outbox_limit", 0, ValueError),
        ("outbox_limit", None, TypeError),
        ("shutdown_timeout_s", -1, ValueError),
        ("shutdown_timeout_s", None, TypeError),
        ("error_policy", "continue", TypeError),
        ("error_policy", None, TypeError),
    ],
)
def test_a_setting_that_cannot_work_is_named(field: str, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=field):
        SchedulerConfig(**{field: value})


def test_defaults_are_those_that_are_documented() -> None:
    config = SchedulerConfig()
    assert (config.tick_interval_ms, config.fairness_ratio, config.max_batch_per_node) == (50, (4, 2, 1), 64)
    assert (config.outbox_limit, config.shutdown_timeout_s) == (4096, 2.0)
    assert config.error_policy is ErrorPolicy.CONTINUE
    with pytest.raises(AttributeError):
        config.workers = 3  # type: ignore[misc]


@pytest.mark.parametrize("config", [{}, 4, "config", {"workers": 2}])
def test_a_scheduler_takes_a_config_or_none(config: Any) -> None:
    with pytest.raises(TypeError, match="SchedulerConfig"):
        Scheduler(config)


@pytest.mark.parametrize("item", [None, 3, Map, "node", object()])
def test_only_graphs_and_nodes_are_registered(item: Any) -> None:
    with pytest.raises(TypeError, match="Subgraph or a Node"):
        Scheduler().register(item)


def test_a_graph_with_errors_is_not_registered_and_leaves_no_trace() -> None:
    scheduler = Scheduler()
    good, bad = chain(Source("source", [1]), Collect()), Subgraph.from_nodes("bad", [Map("source")])
    scheduler.register(good)
    with pytest.raises(GraphValidationError, match="DUP_NODE"):
        scheduler.register(bad)
    with pytest.raises(GraphValidationError, match="DUP_NODE"):
        scheduler.register(good)
    assert scheduler.get_stats()["nodes_count"] == 2
    assert scheduler.run().complete


def test_exposed_names_are_one_namespace_over_all_that_is_registered() -> None:
    scheduler = Scheduler()
    for number, code in enumerate(("", "DUP_EXPOSE_IN")):
        graph = Subgraph.from_nodes(f"g{number}", [Map(f"m{number}")])
        graph.expose_input("in", (f"m{number}", "in"))
        if code:
            with pytest.raises(GraphValidationError, match=code):
                scheduler.register(graph)
        else:
            scheduler.register(graph)


class Waits(Node):
    inputs = "in"

    async def on_message(self, port: str, msg: Message) -> None:
        raise AssertionError("it never runs")


class Produces(Node):
    outputs = "out"

    def produce(self) -> Iterator[int]:
        raise AssertionError("it never runs")


@pytest.mark.parametrize(
    ("kind", "settings", "code", "said"),
    [
        (Map, {"max_concurrency": 0}, "BAD_CONCURRENCY", "a whole number from 1 to 1024, not 0"),
        (Map, {"max_concurrency": -1}, "BAD_CONCURRENCY", "not -1"),
        (Map, {"max_concurrency": 2**70}, "BAD_CONCURRENCY", "not 1180591620717411303424"),
        (Map, {"max_concurrency": True}, "BAD_CONCURRENCY", "not True"),
        (Map, {"max_concurrency": 2.0}, "BAD_CONCURRENCY", "not 2.0"),
        (Map, {"max_concurrency": None}, "BAD_CONCURRENCY", "not None"),
        (Map, {"max_concurrency": 2, "dedicated": True}, "BAD_CONCURRENCY", "a dedicated node has one thread"),
        (Produces, {"max_concurrency": 2}, "BAD_CONCURRENCY", "produce\\(\\) is one generator"),
        (Waits, {"dedicated": True}, "BAD_CONCURRENCY", "there is one event loop, the scheduler's"),
        (Map, {"error_policy": "retry"}, "BAD_ERROR_POLICY", "must be an ErrorPolicy, .* not 'retry'"),
        (Map, {"error_policy": ErrorPolicy.dead_letter("ou")}, "BAD_ERROR_POLICY", "did you mean 'out'"),
        (
            Map,
            {"error_policy": ErrorPolicy.retry(2, then=ErrorPolicy.dead_letter("errors"))},
            "BAD_ERROR_POLICY",
            "an output port 'errors', which it does not have",
        ),
    ],
)
def test_settings_of_a_node_that_are_none_or_do_not_go_together_are_refused(
    kind: type[Node], settings: dict[str, Any], code: str, said: str
) -> None:
    node = kind("node")
    vars(node).update(settings)
    graph = Subgraph.from_nodes("g", [node])
    assert [issue.code for issue in graph.validate() if issue.level == "error"] == [code]
    scheduler = Scheduler()
    with pytest.raises(GraphValidationError, match=f"(?s){code}.*node 'node'.*{said}"):
        scheduler.register(graph)
    assert scheduler.get_stats()["nodes_count"] == 0


def test_a_schedulers_dead_letter_port_must_be_on_every_node_that_has_no_policy_of_its_own() -> None:
    scheduler = Scheduler(SchedulerConfig(error_policy=ErrorPolicy.dead_letter("errors")))
    with pytest.raises(GraphValidationError, match=r"BAD_ERROR_POLICY: node 'node'.*'errors'"):
        scheduler.register(Map("node"))
    own = Map("node")
    own.error_policy = ErrorPolicy.CONTINUE
    scheduler.register(own)
    assert scheduler.run().complete


def test_what_became_wrong_after_it_was_registered_is_refused_at_start() -> None:
    node = Map("node")
    scheduler = Scheduler()
    scheduler.register(node)
    node.max_concurrency = 0
    with pytest.raises(GraphValidationError, match="max_concurrency must be"):
        scheduler.start()
    assert not scheduler.is_running()


def test_a_graph_changed_after_it_was_registered_is_checked_again_and_runs_as_it_is_now() -> None:
    last, more = Collect(), Collect("more")
    graph = chain(Source("source", range(5)), last)
    scheduler = Scheduler()
    scheduler.register(graph)
    graph.add_node(more)
    graph.connect("source:out", "more:in")
    assert scheduler.run().complete
    assert more.seen == last.seen == list(range(5))


def test_a_bare_node_runs() -> None:
    class Once(Node):
        ran = 0

        def on_start(self) -> None:
            self.ran += 1

    node = Once("once")
    scheduler = Scheduler()
    scheduler.register(node)
    assert scheduler.run().complete
    assert node.ran == 1
