"""ErrorPolicy.dead_letter: what failed leaves as an ERROR message, whatever the state of the outbox."""

from __future__ import annotations

import gc
import weakref
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
    run_graph,
    scheduler_of,
)

from graphflow import (
    BackpressureError,
    DeadLetter,
    ErrorPolicy,
    Message,
    MessageType,
    Node,
    PortSpec,
    Subgraph,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

LETTERS = ErrorPolicy.dead_letter("errors")


class Picky(Node):
    """Emits what it gets, and then cannot stand odd numbers."""

    inputs: Any = "in"
    outputs: Any = ("out", PortSpec("errors", int))  # ERROR travels without the schema
    error_policy: ErrorPolicy | None = LETTERS

    def on_message(self, port: str, msg: Message) -> object:
        self.emit("out", msg.payload)
        if msg.payload % 2:
            raise ValueError(msg.payload)
        return None


class PickyGenerator(Picky):
    def on_message(self, port: str, msg: Message) -> Iterator[Any]:
        yield "out", msg.payload
        if msg.payload % 2:
            raise ValueError(msg.payload)


def wired(node: Node, source: Node, capacity: int = 64) -> tuple[Subgraph, Collect, Collect]:
    last, letters = Collect(), Collect("letters")
    graph = Subgraph.from_nodes("g", [source, node, last, letters])
    graph.connect((source.name, "out"), (node.name, "in"), capacity=capacity)
    graph.connect((node.name, "out"), "collect:in", capacity=capacity)
    graph.connect((node.name, "errors"), "letters:in", capacity=capacity)
    return graph, last, letters


@pytest.mark.parametrize("kind", [Picky, PickyGenerator])
@pytest.mark.parametrize("concurrency", [1, 3])
@pytest.mark.parametrize("capacity", [1, 64])
def test_what_failed_leaves_as_an_error_message_and_the_rest_goes_on(
    kind: type[Picky], concurrency: int, capacity: int
) -> None:
    node = kind("picky")
    node.max_concurrency = concurrency
    graph, last, letters = wired(node, Source("source", range(50)), capacity)
    scheduler = scheduler_of(graph, workers=3)
    report = scheduler.run()
    assert_stopped_clean(graph, report)
    assert last.seen == list(range(50))  # what it emitted before it failed has left
    assert [message.is_error() for message in letters.messages] == [True] * 25
    assert [letter.message.payload for letter in letters.seen] == list(range(1, 50, 2))
    counts = scheduler.get_stats()["nodes"]["picky"]
    assert (counts["handled"], counts["dead_lettered"], counts["failed"]) == (25, 25, 0)
    assert report.error_counts == {"picky": 25}


def test_a_dead_letter_tells_the_whole_story_and_shares_the_trace() -> None:
    graph, _, letters = wired(Picky("picky"), Source("source", [Message(MessageType.DATA, 7, {"row": 3})]))
    run_graph(graph)
    letter: DeadLetter = letters.seen[0]
    assert letter.message is not None
    assert (letter.message.payload, letter.message.metadata) == (7, {"row": 3})
    assert repr(letter.exception) == "ValueError(7)"
    assert "raise ValueError(msg.payload)" in letter.traceback
    assert (letter.node, letter.port, letter.attempts) == ("picky", "in", 1)
    assert letters.messages[0].get_trace_id() == letter.message.get_trace_id()


def test_after_a_retry_the_letter_counts_the_attempts_and_nothing_else_was_sent() -> None:
    node = Picky("picky")
    node.error_policy = ErrorPolicy.retry(3, backoff_s=0, then=LETTERS)
    graph, last, letters = wired(node, Source("source", range(6)))
    report = run_graph(graph)
    assert last.seen == [0, 2, 4]
    assert [(letter.message.payload, letter.attempts) for letter in letters.seen] == [(1, 3), (3, 3), (5, 3)]
    assert report.complete


def test_frames_are_released_so_a_letter_holds_nothing_but_its_message(collected: None) -> None:
    class Local:
        pass

    kept: list[weakref.ref[Local]] = []

    class Holds(Picky):
        def on_message(self, port: str, msg: Message) -> object:
            local = Local()
            kept.append(weakref.ref(local))
            raise ValueError("with a local")

    graph, _, letters = wired(Holds("picky"), Source("source", [1]))
    run_graph(graph)
    gc.collect()
    assert len(letters.seen) == 1
    assert kept[0]() is None


def test_a_handler_that_filled_its_outbox_still_gets_its_letter_through() -> None:
    class Greedy(Picky):
        def on_message(self, port: str, msg: Message) -> object:
            for number in range(1000):
                self.emit("out", number)
            return None

    graph, last, letters = wired(Greedy("picky"), Source("source", [1, 2]), capacity=1)
    report = run_graph(graph, outbox_limit=5)
    assert [type(letter.exception) for letter in letters.seen] == [BackpressureError] * 2
    # One on the edge and five in the outbox; the second time the edge may still hold the last of the first.
    assert last.seen[:6] == [*range(6)]
    assert last.seen[6:] in ([*range(5)], [*range(6)])
    assert report.complete


def test_a_letter_waits_for_room_like_any_message() -> None:
    graph, _, letters = wired(Picky("picky"), Source("source", range(1, 200, 2)), capacity=1)
    report = run_graph(graph)
    assert_stopped_clean(graph, report)
    assert len(letters.seen) == 100


def test_ticks_and_sources_send_letters_without_a_message() -> None:
    class Breaks(Node):
        outputs = ("out", "errors")
        error_policy = LETTERS

        def produce(self) -> Iterator[Any]:
            yield "out", 1
            raise OSError("gone")

    def fail(ticker: Ticker) -> None:
        raise LookupError("tick")

    source, last, letters = Breaks("source"), Collect(), Collect("letters")
    ticker = Ticker("ticker", 1, fail)
    ticker.error_policy = ErrorPolicy.dead_letter("out")
    graph = Subgraph.from_nodes("g", [source, ticker, last, letters])
    graph.connect("source:out", "collect:in")
    graph.connect("source:errors", "letters:in")
    graph.connect("ticker:out", "letters:in")
    with scheduler_of(graph):
        letters.expect(3)
    assert_graph_conserved(graph)
    by_node = {letter.node: letter for letter in letters.seen}
    assert {(letter.message, letter.port) for letter in letters.seen} == {(None, None)}
    assert isinstance(by_node["source"].exception, OSError)
    assert isinstance(by_node["ticker"].exception, LookupError)


def test_a_letter_that_cannot_be_sent_is_an_error_and_the_message_has_failed(caplog: pytest.LogCaptureFixture) -> None:
    narrow = Subgraph.from_nodes("narrow", [Source("source", [1]), Picky("picky"), Collect(), Collect("letters")])
    narrow.connect("source:out", "picky:in")
    narrow.connect("picky:out", "collect:in")
    narrow.connect("picky:errors", "letters:in", max_bytes=10, sizeof=lambda letter: 11)
    scheduler = scheduler_of(narrow)
    report = scheduler.run()
    counts = scheduler.get_stats()["nodes"]["picky"]
    assert (counts["failed"], counts["dead_lettered"]) == (1, 0)
    assert report.error_counts == {"picky": 1}
    assert any("the dead letter of an error raised ValueError" in record.getMessage() for record in caplog.records)


def test_dead_letters_feed_a_node_that_repairs_them() -> None:
    node, repair = Picky("picky"), Map("repair", lambda letter: letter.message.payload * 2)
    last = Collect()
    graph = chain(Source("source", range(10)), node, last)
    graph.add_node(repair)
    graph.connect("picky:errors", "repair:in")
    graph.connect("repair:out", "picky:in")
    scheduler = scheduler_of(graph)
    scheduler.start()
    report = scheduler.wait(DEADLINE_S)
    assert_stopped_clean(graph, report)
    assert sorted(last.seen) == sorted([*range(10), *(2 * odd for odd in range(1, 10, 2))])
