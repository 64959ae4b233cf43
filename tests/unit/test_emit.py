"""What emit answers: of one edge, of a fan-out, of closed edges and of policies of a user's own."""

from __future__ import annotations

from typing import Any

import pytest
from graphs import (
    Collect,
    Map,
    Remote,
    Source,
    assert_graph_conserved,
    chain,
    control,
    edge_of,
    fan_out,
    run_graph,
    scheduler_of,
    until,
)

from graphflow import Block, Coalesce, Drop, ErrorPolicy, Latest, Message, Policy, PutResult, Subgraph


def test_emit_answers_ok_then_deferred_and_never_blocked() -> None:
    with fan_out({"capacity": 2}) as (remote, scheduler, (edge,), (consumer,)):
        answers = [remote.emit_there(scheduler, number) for number in range(6)]
        assert answers == [PutResult.OK] * 2 + [PutResult.DEFERRED] * 4
        assert edge.depth() == 2
        scheduler.resume(consumer)
        assert consumer.expect(6) == list(range(6))
    assert consumer.seen == list(range(6))


FULL = {
    PutResult.DEFERRED: {"capacity": 1, "policy": Block()},
    PutResult.DROPPED: {"capacity": 1, "policy": Drop()},
    PutResult.REPLACED: {"capacity": 1, "policy": Latest()},
    PutResult.COALESCED: {"capacity": 1, "policy": Coalesce(lambda old, new: old + new)},
    PutResult.OK: {"capacity": 8, "policy": Block()},
}
STRONGEST_FIRST = list(FULL)


@pytest.mark.parametrize("strongest", STRONGEST_FIRST, ids=lambda answer: answer.name)
def test_fan_out_answers_the_strongest(strongest: PutResult) -> None:
    weaker = STRONGEST_FIRST[STRONGEST_FIRST.index(strongest) :]
    for order in (weaker, weaker[::-1]):
        with fan_out(*(FULL[answer] for answer in order)) as (remote, scheduler, edges, _):
            assert remote.emit_there(scheduler, 1) is PutResult.OK
            assert remote.emit_there(scheduler, 2) is strongest
            assert all(edge.stats().offered + (edge.capacity == 1) >= 1 for edge in edges)


def test_a_port_without_edges_answers_ok() -> None:
    remote = Remote(outs=("out", "unused"))
    graph = Subgraph.from_nodes("g", [remote])
    graph.expose_input("remote", "remote:calls")
    with scheduler_of(graph) as scheduler:
        assert remote.emit_there(scheduler, 1, "unused") is PutResult.OK


class Failing(Collect):
    error_policy = ErrorPolicy.STOP_NODE

    def on_message(self, port: str, msg: Message) -> None:
        raise RuntimeError("no more")


def test_emitting_to_a_closed_edge_counts_as_dropped_and_never_raises() -> None:
    remote, failing, other = Remote(), Failing("failing"), Collect("other")
    graph = Subgraph.from_nodes("g", [remote, failing, other])
    graph.expose_input("remote", "remote:calls")
    edge_id = graph.connect("remote:out", "failing:in")
    graph.connect("remote:out", "other:in")
    with scheduler_of(graph) as scheduler:
        edge = edge_of(graph, edge_id)
        remote.emit_there(scheduler, 0)
        until(lambda: edge.closed)
        assert remote.emit_there(scheduler, 1) is PutResult.DROPPED
        assert remote.emit_there(scheduler, control("x")) is PutResult.DROPPED
        assert edge.stats().dropped_closed == 2
        report = scheduler.shutdown()
    assert sorted(other.seen, key=str) == [0, 1, "x"]
    assert report.error_counts == {"failing": 1}
    assert_graph_conserved(graph)


class Odd:
    """Lets odd numbers in, whether there is room or not."""

    def on_enqueue(self, capacity: int, size: int, item: Any) -> PutResult:
        payload = item.payload if isinstance(item, Message) else item
        return PutResult.OK if payload % 2 else PutResult.DROPPED


def test_a_users_policy_is_asked_even_where_there_is_room() -> None:
    policy: Policy = Odd()
    with fan_out({"policy": policy}) as (remote, scheduler, (edge,), (consumer,)):
        answers = [remote.emit_there(scheduler, number) for number in range(4)]
        assert answers == [PutResult.DROPPED, PutResult.OK] * 2
        scheduler.resume(consumer)
        assert consumer.expect(2) == [1, 3]
        assert edge.stats().dropped == 2


class Broken:
    def __init__(self, answer: object) -> None:
        self.answer = answer

    def on_enqueue(self, capacity: int, size: int, item: Any) -> Any:
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


@pytest.mark.parametrize("answer", [RuntimeError("policy"), None, 7, PutResult.COALESCED, PutResult.DEFERRED])
def test_a_broken_policy_drops_the_copy_of_its_own_edge_only(answer: object, caplog: pytest.LogCaptureFixture) -> None:
    with fan_out({"policy": Broken(answer)}, {}) as (remote, scheduler, edges, (_, consumer)):
        assert remote.emit_there(scheduler, 1) is PutResult.DROPPED
        assert (edges[0].stats().dropped, edges[0].stats().dropped_error) == (1, 1)
        scheduler.resume(consumer)
        assert consumer.expect(1) == [1]
    assert "remote:out->c0:in" in caplog.text


def test_raising_a_broken_policy_is_no_error_of_the_node() -> None:
    last = Collect()
    graph = chain(Source("source", range(5)), Map("map"), last, policy=Broken(RuntimeError("policy")))
    report = run_graph(graph)
    assert report.errors == {}
    assert last.seen == []
    assert edge_of(graph, "source:out->map:in").stats().dropped_error == 5
