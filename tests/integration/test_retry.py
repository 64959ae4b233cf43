"""ErrorPolicy.retry: attempts, staged emissions, backoff that holds no worker and no control, order, stops."""

from __future__ import annotations

import itertools
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from graphs import (
    DEADLINE_S,
    Collect,
    Map,
    Source,
    Ticker,
    assert_graph_conserved,
    assert_stopped_clean,
    chain,
    control,
    run_graph,
    scheduler_of,
    until,
)

from graphflow import BackpressureError, ErrorPolicy, Message, Node, Scheduler, Subgraph

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

AT_ONCE = ErrorPolicy.retry(3, backoff_s=0, jitter=0)
NEVER_AGAIN = ErrorPolicy.retry(2, backoff_s=3600)


class Flaky(Node):
    """Emits each payload, then raises in the first `failures(payload)` attempts at it."""

    inputs: Any = "in"
    outputs: Any = "out"

    def __init__(self, name: str, policy: ErrorPolicy, failures: Callable[[Any], int]) -> None:
        super().__init__(name)
        self.error_policy = policy
        self.failures = failures
        self.tried: dict[Any, int] = {}
        self.heard: list[Any] = []

    def on_message(self, port: str, msg: Message) -> object:
        if msg.is_control():
            self.heard.append(msg.payload)
            return None
        return self.attempt(msg.payload)

    def attempt(self, payload: Any) -> object:
        self.tried[payload] = self.tried.get(payload, 0) + 1
        self.emit("out", payload)
        if self.tried[payload] <= self.failures(payload):
            raise ValueError(f"attempt {self.tried[payload]} at {payload}")
        return None


class FlakyGenerator(Flaky):
    """The same as a generator."""

    def attempt(self, payload: Any) -> Iterator[Any]:
        self.tried[payload] = self.tried.get(payload, 0) + 1
        yield payload
        if self.tried[payload] <= self.failures(payload):
            raise ValueError(f"attempt {self.tried[payload]} at {payload}")


def counts(scheduler: Scheduler, node: str) -> dict[str, int]:
    found: dict[str, int] = scheduler.get_stats()["nodes"][node]
    return found


@pytest.mark.parametrize("kind", [Flaky, FlakyGenerator])
@pytest.mark.parametrize("capacity", [1, 64])
@pytest.mark.parametrize("workers", [1, 2, 8])
def test_every_message_comes_out_once_and_in_order_whatever_failed_before(
    kind: type[Flaky], capacity: int, workers: int
) -> None:
    node, last = kind("flaky", AT_ONCE, lambda payload: payload % 3), Collect()
    graph = chain(Source("source", range(100)), node, last, capacity=capacity)
    report = run_graph(graph, workers=workers)
    assert_stopped_clean(graph, report)
    assert last.seen == list(range(100))
    assert node.tried == {payload: payload % 3 + 1 for payload in range(100)}
    assert report.errors == {}


def test_attempts_count_all_tries_then_the_message_has_failed_and_left_nothing() -> None:
    node, last = Flaky("flaky", AT_ONCE, lambda payload: 99 if payload == 1 else 0), Collect()
    graph = chain(Source("source", range(3)), node, last)
    scheduler = scheduler_of(graph)
    report = scheduler.run()
    assert last.seen == [0, 2]
    assert node.tried == {0: 1, 1: 3, 2: 1}
    assert report.error_counts == {"flaky": 1}
    assert str(report.errors["flaky"][0]) == "attempt 3 at 1"
    found = counts(scheduler, "flaky")
    assert (found["handled"], found["failed"], found["retries"], found["errors"]) == (2, 1, 2, 1)


def test_a_discarded_attempt_gives_back_the_outbox_room_of_each_of_its_copies() -> None:
    node = Flaky("flaky", AT_ONCE, lambda payload: 2)
    ends = [Collect(f"end{number}") for number in range(3)]
    graph = Subgraph.from_nodes("g", [Source("source", range(10)), node, *ends])
    graph.connect("source:out", "flaky:in")
    for end in ends:
        graph.connect("flaky:out", (end.name, "in"))
    report = run_graph(graph, outbox_limit=6)  # two messages' copies: all that one attempt ever needs is three
    assert [end.seen for end in ends] == [list(range(10))] * 3
    assert report.errors == {}


def test_on_error_sees_every_failed_attempt_and_what_it_emits_is_sent() -> None:
    class Sees(Flaky):
        def on_error(self, exc: BaseException, msg: Message | None) -> None:
            self.heard.append((str(exc), msg.payload if msg else None))
            self.emit("out", f"alarm {len(self.heard)}")

    node, last = Sees("flaky", AT_ONCE, lambda payload: 2), Collect()
    run_graph(chain(Source("source", ["a"]), node, last))
    assert node.heard == [("attempt 1 at a", "a"), ("attempt 2 at a", "a")]
    assert last.seen == ["alarm 1", "alarm 2", "a"]


def test_emit_answers_ok_and_what_it_cannot_keep_is_refused() -> None:
    class Greedy(Flaky):
        def attempt(self, payload: Any) -> None:
            answers = {str(self.emit("out", number)) for number in range(10)}
            self.heard.append(answers)
            with pytest.raises(BackpressureError, match=r"keeps 10 messages .* outbox_limit is 10"):
                self.emit("out", "too much")

    node, last = Greedy("greedy", AT_ONCE, lambda payload: 0), Collect()
    report = run_graph(chain(Source("source", [0, 1]), node, last, capacity=1), outbox_limit=10)
    assert node.heard == [{"PutResult.OK"}] * 2
    assert last.seen == [*range(10)] * 2
    assert report.complete
    assert report.errors == {}


def test_a_node_in_backoff_takes_control_but_no_data_and_holds_no_worker() -> None:
    node, last = Flaky("flaky", NEVER_AGAIN, lambda payload: 1), Collect()
    other, beside = Map("other"), Collect("beside")
    graph = Subgraph.from_nodes("g", [node, last, other, beside])
    graph.expose_input("in", "flaky:in")
    graph.expose_input("other", "other:in")
    graph.connect("flaky:out", "collect:in")
    graph.connect("other:out", "beside:in")
    scheduler = scheduler_of(graph, workers=1)
    with scheduler:
        scheduler.input("in").put_many(["first", "second"])
        until(lambda: counts(scheduler, "flaky")["held"] == 1)
        scheduler.input("in").put(control("now"))
        until(lambda: node.heard == ["now"])
        scheduler.input("other").put_many(range(50))
        assert beside.expect(50) == list(range(50))  # by the only worker
        assert node.tried == {"first": 1}
        report = scheduler.shutdown(drain=False)
    assert_graph_conserved(graph)
    assert not report.complete
    assert report.undelivered == {"input:in->flaky:in": 1}
    found = counts(scheduler, "flaky")
    assert (found["handled"], found["abandoned"], found["held"], found["in_handler"]) == (1, 1, 0, 0)


def test_the_rest_between_attempts_is_kept_and_costs_no_cpu() -> None:
    times: list[float] = []

    class Timed(Flaky):
        def attempt(self, payload: Any) -> object:
            times.append(time.monotonic())
            return super().attempt(payload)

    policy = ErrorPolicy.retry(4, backoff_s=0.05, jitter=0)
    node, last = Timed("flaky", policy, lambda payload: 3), Collect()
    cpu = time.process_time()
    run_graph(chain(Source("source", ["a"]), node, last))
    cpu = time.process_time() - cpu
    rests = [after - before for before, after in itertools.pairwise(times)]
    assert last.seen == ["a"]
    assert rests[0] >= 0.05
    assert rests[1] >= 0.1
    assert rests[2] >= 0.2
    assert cpu < sum(rests)


def test_a_rest_of_centuries_is_not_none_at_all() -> None:
    longest = threading.TIMEOUT_MAX
    node = Flaky("flaky", ErrorPolicy.retry(9, longest, max_backoff_s=longest, jitter=1), lambda payload: 9)
    graph = chain(node, Collect())
    graph.expose_input("in", "flaky:in")
    scheduler = scheduler_of(graph)
    with scheduler:
        scheduler.input("in").put("a")
        until(lambda: counts(scheduler, "flaky")["held"] == 1)
        with pytest.raises(TimeoutError):
            scheduler.wait(0.05)
        scheduler.shutdown(drain=False)
    assert node.tried == {"a": 1}
    assert_graph_conserved(graph)


def test_a_drain_waits_for_a_message_that_rests() -> None:
    node, last = Flaky("flaky", ErrorPolicy.retry(2, backoff_s=0.1), lambda payload: 1), Collect()
    graph = chain(node, last)
    graph.expose_input("in", "flaky:in")
    scheduler = scheduler_of(graph)
    scheduler.start()
    scheduler.input("in").put("a")
    until(lambda: counts(scheduler, "flaky")["held"] == 1)
    report = scheduler.shutdown(timeout=DEADLINE_S)
    assert_stopped_clean(graph, report)
    assert last.seen == ["a"]


def test_a_tick_is_tried_again_and_other_ticks_wait_for_it() -> None:
    tries: list[int] = []

    def fail_once(ticker: Ticker) -> None:
        tries.append(ticker.count)
        ticker.emit("out", ticker.count)
        if ticker.count == 1:
            raise ValueError("first")

    ticker, last = Ticker("ticker", 1.0, fail_once), Collect()
    ticker.error_policy = AT_ONCE
    graph = chain(ticker, last)
    scheduler = scheduler_of(graph)
    with scheduler:
        last.expect(3)
    assert last.seen[:2] == [2, 3]  # what the failed one emitted is gone
    assert counts(scheduler, "ticker")["retries"] == 1


def test_a_source_is_not_retried_it_has_failed() -> None:
    class Breaks(Node):
        outputs = "out"
        error_policy = AT_ONCE
        opened = 0

        def produce(self) -> Iterator[int]:
            self.opened += 1
            yield 1
            raise OSError("gone")

    source, last = Breaks("source"), Collect()
    report = run_graph(chain(source, last))
    assert (source.opened, last.seen) == (1, [1])
    assert report.failed_sources == ("source",)


def test_after_the_last_attempt_the_graph_stops_if_the_policy_says_so() -> None:
    node = Flaky("flaky", ErrorPolicy.retry(2, 0, then=ErrorPolicy.STOP_GRAPH), lambda payload: 9)
    scheduler = scheduler_of(chain(Source("source", range(3)), node, Collect()))
    with pytest.raises(ValueError, match="attempt 2 at 0"):
        scheduler.run()


def test_a_stop_that_runs_out_of_time_gives_up_what_rests_and_counts_it() -> None:
    node = Flaky("flaky", NEVER_AGAIN, lambda payload: 9)
    graph = chain(node, Collect())
    graph.expose_input("in", "flaky:in")
    scheduler = scheduler_of(graph)
    with scheduler:
        scheduler.input("in").put("rests")
        until(lambda: counts(scheduler, "flaky")["held"] == 1)
        report = scheduler.shutdown(timeout=0.5)
    found = counts(scheduler, "flaky")
    assert report.timed_out
    assert not report.complete
    assert report.backing_off == {"flaky": 1}
    assert (found["failed"], found["abandoned"], found["held"]) == (1, 0, 0)
    assert_graph_conserved(graph)


def test_control_in_backoff_is_not_overtaken_by_control() -> None:
    class Orders(Flaky):
        def on_message(self, port: str, msg: Message) -> object:
            return self.attempt(msg.payload)

    node, last = Orders("flaky", ErrorPolicy.retry(2, backoff_s=0.01), lambda payload: payload == 0), Collect()
    graph = chain(node, last)
    graph.expose_input("in", "flaky:in")
    scheduler = scheduler_of(graph, workers=2)
    with scheduler:
        for number in range(5):
            scheduler.input("in").put(control(number))
        assert last.expect(5) == [0, 1, 2, 3, 4]


def test_many_threads_and_many_failures_lose_nothing(fast_switching: None) -> None:
    node, last = Flaky("flaky", ErrorPolicy.retry(4, backoff_s=0.0001), lambda payload: payload[1] % 4), Collect()
    graph = chain(node, last, capacity=4)
    graph.expose_input("in", "flaky:in", capacity=4)
    scheduler = scheduler_of(graph, workers=4)
    with scheduler:
        threads = [
            threading.Thread(target=scheduler.input("in").put_many, args=([(name, number) for number in range(50)],))
            for name in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE_S)
        last.expect(200)
    assert_graph_conserved(graph)
    assert [sorted(seen for seen in last.seen if seen[0] == name) for name in range(4)] == [
        [seen for seen in last.seen if seen[0] == name] for name in range(4)
    ]


def test_a_concurrent_node_takes_no_data_either_while_a_message_rests() -> None:
    node, last = Flaky("flaky", NEVER_AGAIN, lambda payload: payload == "first"), Collect()
    node.max_concurrency = 3
    graph = chain(node, last)
    graph.expose_input("in", "flaky:in")
    scheduler = scheduler_of(graph, workers=3)
    with scheduler:
        scheduler.input("in").put("first")
        until(lambda: counts(scheduler, "flaky")["held"] == 1)
        scheduler.input("in").put("second")
        scheduler.input("in").put(control("now"))
        until(lambda: node.heard == ["now"])
        assert node.tried == {"first": 1}
        report = scheduler.shutdown(drain=False)
    assert report.undelivered == {"input:in->flaky:in": 1}
    assert_graph_conserved(graph)


def test_a_control_message_is_tried_again_while_other_nodes_are_always_ready() -> None:
    """Its node is queued in the lane for it, and must not give that turn up to the bands again and again."""

    class Endless(Node):
        outputs = "out"

        def produce(self) -> Any:
            while True:
                yield 0

    class FailsOnce(Collect):
        error_policy = ErrorPolicy.retry(3, backoff_s=0.002)
        attempts = 0

        def on_message(self, port: str, msg: Message) -> None:
            self.attempts += 1
            if self.attempts == 1:
                raise ValueError
            super().on_message(port, msg)

    node, other = FailsOnce("fails"), Collect("other")
    graph = Subgraph.from_nodes("g", [node, Endless("endless"), other])
    graph.connect("endless:out", "other:in", capacity=2)
    graph.expose_input("in", "fails:in")
    with scheduler_of(graph, workers=1) as scheduler:
        other.expect(100)
        scheduler.input("in").put(control("again"))
        assert node.expect(1) == ["again"]
        other.expect(len(other.seen) + 100)
        report = scheduler.shutdown(timeout=DEADLINE_S)
    assert report.complete
