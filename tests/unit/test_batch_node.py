"""When a batch node sends what it has collected, and what becomes of the rest."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest
from graphs import Collect, chain, scheduler_of, until

from graphflow import ErrorPolicy, Message, Scheduler, Subgraph
from graphflow.nodes import batch_node
from graphflow.testing import simulate, sleep


def test_a_batch_is_sent_when_its_first_payload_has_waited() -> None:
    graph = chain(batch_node(100, timeout=0.2), collect := Collect())
    graph.expose_input("in", "batch:in")
    with scheduler_of(graph) as scheduler:
        inlet = scheduler.input("in")
        inlet.put_many([1, 2])
        assert collect.expect(1) == [[1, 2]]
        inlet.put(3)
        assert collect.expect(2) == [[1, 2], [3]]
        assert scheduler.snapshot().nodes["batch"].ticks >= 2


def test_a_batch_waits_its_own_time_whatever_the_one_before_did() -> None:
    """On a virtual clock: the tick for a batch that was filled meanwhile finds a younger one."""
    collect = Collect()
    graph = chain(batch_node(2, timeout=0.020), collect)
    graph.expose_input("in", "batch:in")

    def feed(scheduler: Scheduler) -> None:
        inlet = scheduler.input("in")
        inlet.put(1)
        sleep(0.005)
        inlet.put(2)
        inlet.put(3)
        sleep(0.017)
        assert collect.seen == [[1, 2]]  # at 22 ms: the first batch would be due
        sleep(0.006)
        assert collect.seen == [[1, 2], [3]]
        inlet.close()

    simulate(graph, seed=1, threads=[feed], handler_s=(0.0, 0.0))


def test_an_idle_batch_node_asks_for_no_ticks() -> None:
    graph = chain(batch_node(2, timeout=0.001), collect := Collect())
    graph.expose_input("in", "batch:in")
    with scheduler_of(graph) as scheduler:
        scheduler.input("in").put_many([1, 2, 3])
        collect.expect(2)
        ticks = scheduler.snapshot().nodes["batch"].ticks
        threading.Event().wait(0.05)
        assert scheduler.snapshot().nodes["batch"].ticks == ticks


def test_a_stop_without_drain_says_what_a_batch_held(caplog: pytest.LogCaptureFixture) -> None:
    graph = chain(batch_node(100), Collect())
    graph.expose_input("in", "batch:in")
    scheduler = scheduler_of(graph)
    with caplog.at_level(logging.WARNING), scheduler:
        scheduler.input("in").put_many([1, 2, 3])
        until(lambda: graph.edges[-1].stats().delivered == 3)
        scheduler.shutdown(drain=False)
    assert "3 payloads that it had collected are not sent" in caplog.text


def test_a_batch_node_begins_each_run_with_nothing() -> None:
    graph = chain(batch_node(3), collect := Collect())
    graph.expose_input("in", "batch:in")
    scheduler = scheduler_of(graph)
    with scheduler:
        scheduler.input("in").put(1)
        until(lambda: graph.edges[-1].stats().delivered == 1)
        scheduler.shutdown(drain=False)
    with scheduler:
        scheduler.input("in").put_many([2, 3, 4])
    assert collect.seen == [[2, 3, 4]]


# ---------------------------------------------------------------------------------------- batches that are refused


def refusing(n: int, timeout: float | None, policy: ErrorPolicy, **options: Any) -> tuple[Subgraph, Collect, Collect]:
    """A batch node whose output takes lists of two payloads at most."""
    graph = Subgraph("refusing")
    graph.add_node(batch_node(n, timeout=timeout, error_policy=policy))
    graph.add_node(taken := Collect("taken"))
    graph.add_node(dead := Collect("dead"))
    graph.connect("batch:out", "taken:in", max_bytes=2)
    graph.connect("batch:dead", "dead:in")
    graph.expose_input("in", "batch:in", **options)
    return graph, taken, dead


DEAD = ErrorPolicy.dead_letter("dead")


@pytest.mark.parametrize("policy", [DEAD, ErrorPolicy.retry(3, backoff_s=0.001, then=DEAD)], ids=["dead", "retry"])
@pytest.mark.parametrize("options", [{}, {"ttl_s": 60.0}], ids=["compiled", "on_message"])
def test_a_batch_that_may_not_be_sent_is_in_its_dead_letter_whole(policy: ErrorPolicy, options: Any) -> None:
    graph, taken, dead = refusing(3, None, policy, **options)
    with scheduler_of(graph) as scheduler:
        scheduler.input("in").put_many(range(1, 9))
        report = scheduler.shutdown()
    letters = [letter.message.payload for letter in dead.seen]
    assert letters == [[1, 2, 3], [4, 5, 6]]
    assert taken.seen == [[7, 8]]
    assert report.complete
    batch = scheduler.snapshot().nodes["batch"]
    assert (batch.handled, batch.dead_lettered, batch.errors) == (6, 2, 2)


def test_a_batch_that_is_refused_on_a_tick_is_in_its_dead_letter_whole() -> None:
    told: list[Any] = []
    graph, taken, dead = refusing(100, 0.05, DEAD)

    def tell(exc: BaseException, msg: Message | None) -> None:
        told.append(msg and msg.payload)

    graph.nodes["batch"].on_error = tell  # type: ignore[method-assign]
    with scheduler_of(graph) as scheduler:
        scheduler.input("in").put_many([1, 2, 3, 4])
        dead.expect(1)
        scheduler.input("in").put(5)
        taken.expect(1)
    assert [letter.message.payload for letter in dead.seen] == told == [[1, 2, 3, 4]]
    assert taken.seen == [[5]]
