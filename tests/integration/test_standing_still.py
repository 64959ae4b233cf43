"""The watchdog on real runs: it names the root edge and node, in time, once, and wakes no idle graph."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from graphs import (
    DEADLINE_S,
    Collect,
    Gate,
    Map,
    Source,
    Ticker,
    assert_graph_conserved,
    chain,
    run_graph,
    scheduler_of,
    until,
)

from graphflow import ErrorPolicy, Message, Node, Scheduler, Subgraph
from graphflow.runtime.watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import Iterator

WATCHDOG_S = 0.2


class Log(logging.Handler):
    """Keeps what the watchdog says; `expect` waits for a record of an event."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def of(self, event: str) -> list[logging.LogRecord]:
        return [record for record in list(self.records) if vars(record).get("event") == event]

    def expect(self, event: str) -> dict[str, Any]:
        until(lambda: self.of(event))
        record = self.of(event)[0]
        return vars(record) | {"text": record.getMessage()}


@pytest.fixture
def log() -> Iterator[Log]:
    handler = Log()
    logger = logging.getLogger("graphflow")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


def endless() -> Iterator[int]:
    number = 0
    while True:
        yield number
        number += 1


def watched(graph: Subgraph, **config: Any) -> Scheduler:
    return scheduler_of(graph, watchdog_s=WATCHDOG_S, shutdown_timeout_s=DEADLINE_S, **config)


def test_a_handler_that_does_not_return_is_named_with_its_stack_and_who_waits_for_it(log: Log) -> None:
    gate = Gate("gate")
    graph = chain(Source("source", endless()), Map("middle"), gate, capacity=4)
    begun = time.monotonic()
    with watched(graph) as scheduler:
        said = log.expect("stall")
        assert time.monotonic() - begun >= WATCHDOG_S
        assert said["levelno"] == logging.WARNING
        assert (said["kind"], said["node"], said["edge_id"]) == ("hook", "gate", "middle:out->gate:in")
        assert "self.opened.wait(DEADLINE_S)" in said["text"]  # the line that it stands at
        assert "_bootstrap" not in said["text"]
        assert "source:out->middle:in (4 of 4, 1 deferred) -> middle -> middle:out->gate:in" in said["text"]
        (stall,) = scheduler.get_stats()["stalls"]
        assert (stall["kind"], stall["node"]) == ("hook", "gate")
        assert stall["seconds"] >= WATCHDOG_S
        gate.opened.set()
        log.expect("stall_cleared")
        assert scheduler.get_stats()["stalls"] == []
        scheduler.shutdown(drain=False)
    assert len(log.of("stall")) == 1
    assert_graph_conserved(graph)


def test_a_coroutine_that_does_not_return_is_named_with_its_awaits(log: Log) -> None:
    class Waits(Node):
        inputs = "in"
        inside: asyncio.Event

        async def on_message(self, port: str, msg: Message) -> None:
            await self.deeper()

        async def deeper(self) -> None:
            self.inside = asyncio.Event()
            await self.inside.wait()

    graph = chain(Source("source", range(5)), Waits("waits"))
    with watched(graph) as scheduler:
        said = log.expect("stall")
        assert (said["node"], said["edge_id"]) == ("waits", "source:out->waits:in")
        assert "await self.deeper()" in said["text"]
        assert "await self.inside.wait()" in said["text"]
        scheduler.shutdown(drain=False, timeout=0.2)


def test_one_of_several_inside_a_node_is_told_from_the_others(log: Log) -> None:
    class Some(Gate):
        max_concurrency = 2

        def on_message(self, port: str, msg: Message) -> None:
            if msg.payload == 0:
                super().on_message(port, msg)

    node = Some("some")
    node.ordered = False
    graph = chain(Source("source", range(50)), node)
    with watched(graph, workers=3):
        said = log.expect("stall")
        assert (said["kind"], said["node"]) == ("hook", "some")
        assert graph_depth(graph) == 0  # the others went by
        node.opened.set()
        log.expect("stall_cleared")
    assert len(log.of("stall")) == 1


def graph_depth(graph: Subgraph) -> int:
    return sum(edge.depth() for edge in graph.edges)


def test_a_node_that_waits_for_a_worker_points_to_who_holds_them_all(log: Log) -> None:
    gate, last = Gate("gate"), Collect("starved")
    graph = Subgraph.from_nodes("g", [gate, last])
    graph.expose_input("gate", "gate:in")
    graph.expose_input("other", "starved:in")
    with watched(graph, workers=1) as scheduler:
        scheduler.input("gate").put(1)
        assert gate.entered.wait(DEADLINE_S)
        scheduler.input("other").put(2)
        until(lambda: [stall["chain"] for stall in scheduler.get_stats()["stalls"]] != [])
        until(lambda: scheduler.get_stats()["stalls"][0]["chain"] != [])
        (stall,) = scheduler.get_stats()["stalls"]
        assert (stall["node"], stall["chain"]) == ("gate", ["input:other->starved:in (1 of 1024)", "starved", "gate"])
        gate.opened.set()
        assert last.expect(1) == [2]


def test_a_full_cycle_of_block_edges_is_named(log: Log) -> None:
    class Doubles(Node):
        inputs, outputs = "in", "out"

        def on_message(self, port: str, msg: Message) -> None:
            self.emit("out", 1)
            self.emit("out", 2)

    graph = Subgraph.from_nodes("g", [Doubles("x"), Doubles("y")])
    graph.connect("x:out", "y:in", capacity=2)
    graph.connect("y:out", "x:in", capacity=2)
    graph.expose_input("in", "x:in")
    with watched(graph) as scheduler:
        scheduler.input("in").put(1)
        said = log.expect("stall")
        assert said["kind"] == "cycle"
        assert said["edge_id"] in {"x:out->y:in", "y:out->x:in"}
        assert said["node"] in {"x", "y"}
        assert "x:out->y:in (2 of 2" in said["text"]
        assert "y:out->x:in (2 of 2" in said["text"]
        scheduler.shutdown(drain=False)
    assert_graph_conserved(graph)


def test_a_paused_node_is_named_and_cleared_when_it_goes_on(log: Log) -> None:
    last = Collect("last")
    graph = chain(Source("source", range(50)), Map("middle"), last, capacity=4)
    scheduler = watched(graph)
    scheduler.pause("last")
    with scheduler:
        said = log.expect("stall")
        assert (said["kind"], said["node"], said["edge_id"]) == ("paused", "last", "middle:out->last:in")
        scheduler.resume("last")
        log.expect("stall_cleared")
        assert last.expect(50) == list(range(50))


def test_an_output_that_nobody_reads_is_named(log: Log) -> None:
    graph = Subgraph.from_nodes("g", [Source("source", endless()), Map("map")])
    graph.connect("source:out", "map:in", capacity=4)
    graph.expose_output("out", "map:out", capacity=4)
    with watched(graph) as scheduler:
        said = log.expect("stall")
        assert (said["kind"], said["node"], said["edge_id"]) == ("unread", "map", "map:out->output:out")
        for _ in range(12):
            scheduler.output("out").get(DEADLINE_S)
        log.expect("stall_cleared")
        scheduler.shutdown(drain=False)
    assert_graph_conserved(graph)


def test_a_consumer_whose_node_was_stopped_is_named_while_messages_are_dropped(log: Log) -> None:
    class Fails(Node):
        inputs = "in"
        error_policy = ErrorPolicy.STOP_NODE

        def on_message(self, port: str, msg: Message) -> None:
            raise OSError("gone")

    graph = chain(Ticker("ticker", 1.0, lambda ticker: ticker.emit("out", 1)), Fails("fails"))
    with watched(graph):
        said = log.expect("stall")
        assert (said["kind"], said["node"], said["edge_id"]) == ("stopped", "fails", "ticker:out->fails:in")
        assert "was stopped by OSError" in said["text"]
    stopped = log.expect("node_stopped")
    assert stopped["node"] == "fails"
    assert_graph_conserved(graph)


@pytest.mark.parametrize("said", [None, False])
def test_a_class_node_that_works_for_closed_outputs_only_is_named_unless_it_said_that_it_goes_on(
    log: Log, said: bool | None
) -> None:
    def emit(ticker: Ticker) -> None:
        ticker.emit("out", 1)

    ticker, middle = Ticker("ticker", 1.0, emit), Map("middle")
    middle.ends_with_outputs = said
    graph = chain(ticker, middle, Collect())
    with watched(graph) as scheduler:
        graph.edges[-1].close()
        until(lambda: scheduler.snapshot().nodes["middle"].handled > 500)
        kinds = {stall.kind for stall in scheduler.snapshot().stalls}
        if said is None:
            found = log.expect("stall")
            assert (found["kind"], found["node"]) == ("unheard", "middle")
        else:
            assert kinds == set()


def test_hooks_of_the_life_cycle_are_watched_too(log: Log) -> None:
    opened = threading.Event()

    class Slow(Node):
        def on_start(self) -> None:
            opened.wait(DEADLINE_S)

    scheduler = watched(Subgraph.from_nodes("g", [Slow("slow")]))
    starting = threading.Thread(target=scheduler.start)
    starting.start()
    said = log.expect("stall")
    assert (said["kind"], said["node"]) == ("hook", "slow")
    assert "has not returned from on_start" in said["text"]
    opened.set()
    starting.join(DEADLINE_S)
    scheduler.shutdown()


def test_a_slow_graph_that_moves_and_a_message_in_backoff_are_no_stalls(log: Log) -> None:
    class Rests(Node):
        inputs = "in"
        error_policy = ErrorPolicy.retry(2, backoff_s=3 * WATCHDOG_S, jitter=0)
        tried = 0

        def on_message(self, port: str, msg: Message) -> None:
            self.tried += 1
            if self.tried == 1:
                raise OSError("once")

    def slow(value: int) -> int:
        threading.Event().wait(WATCHDOG_S / 2)
        return value

    graph = Subgraph.from_nodes("g", [Source("source", range(8)), Map("slow", slow), Collect(), Rests("rests")])
    graph.connect("source:out", "slow:in", capacity=2)
    graph.connect("slow:out", "collect:in", capacity=2)
    graph.connect("source:out", "rests:in", capacity=100)
    run_graph(graph, watchdog_s=WATCHDOG_S)
    assert log.of("stall") == []


def test_an_idle_graph_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[float] = []
    real = Watchdog.look

    def look(self: Watchdog, now: float, observation: Any) -> None:
        looks.append(now)
        real(self, now, observation)

    monkeypatch.setattr(Watchdog, "look", look)
    node, ticker, last = Map("map"), Ticker("rare", 3_600_000, lambda _: None), Collect()
    graph = chain(node, last)
    graph.add_node(ticker)
    graph.expose_input("in", "map:in")
    with scheduler_of(graph, watchdog_s=0.04) as scheduler:
        scheduler.input("in").put(1)
        last.expect(1)
        until(lambda: looks)  # one look after it was busy
        before = len(looks)
        threading.Event().wait(0.4)
        assert len(looks) - before <= 1


def test_it_can_be_switched_off(log: Log) -> None:
    gate = Gate()
    graph = chain(Source("source", [1]), gate)
    with scheduler_of(graph, watchdog_s=None) as scheduler:
        assert gate.entered.wait(DEADLINE_S)
        threading.Event().wait(0.1)
        assert scheduler.get_stats()["stalls"] == []
        gate.opened.set()
    assert log.of("stall") == []


def test_an_error_in_the_look_is_logged_and_stops_nobody(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise LookupError("in the look")

    monkeypatch.setattr(Watchdog, "look", fails)
    gate = Gate()
    ticker = Ticker("ticker", 5.0, lambda _: None)
    graph = chain(Source("source", [1]), gate)
    graph.add_node(ticker)
    with watched(graph):
        log.expect("watchdog_error")
        count = ticker.count
        until(lambda: ticker.count > count + 3)
        gate.opened.set()
