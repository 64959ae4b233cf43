"""What is logged: events with their levels and fields, rarely where they are many, and payloads never."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import logging
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from graphs import Collect, Map, Remote, Source, chain, scheduler_of, until

from graphflow import (
    Block,
    Coalesce,
    Drop,
    Edge,
    ErrorPolicy,
    Latest,
    Message,
    MessageType,
    Node,
    PortSpec,
    PriorityBand,
    PutResult,
    Subgraph,
)
from graphflow.base.events import EVENTS, say
from graphflow.observability import json_formatter

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
SECRET = "s3cr3t-payload"
RESERVED = set(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class Listener(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(copy.copy(record))

    def events(self, name: str) -> list[Any]:
        return [record for record in self.records if getattr(record, "event", None) == name]

    def one(self, name: str) -> Any:
        (record,) = self.events(name)
        return record


@pytest.fixture
def heard() -> Iterator[Listener]:
    """Everything that graphflow logs, down to DEBUG."""
    listener, logger = Listener(), logging.getLogger("graphflow")
    level = logger.level
    logger.handlers.insert(0, listener)  # before those that add fields to a record
    logger.setLevel(logging.DEBUG)
    yield listener
    logger.removeHandler(listener)
    logger.setLevel(level)
    for record in listener.records:
        assert record.event in EVENTS, record  # type: ignore[attr-defined]
        assert record.levelno == EVENTS[record.event]  # type: ignore[attr-defined]


# ---------------------------------------------------------------------------------------- events and fields


def test_a_run_tells_of_its_phases(heard: Listener) -> None:
    scheduler = scheduler_of(chain(Source("a", [1]), Collect("b")), name="mine")
    scheduler.run()
    told = [(record.event, record.graph) for record in heard.records]  # type: ignore[attr-defined]
    assert told == [(f"run_{phase}", "mine") for phase in ("started", "draining", "stopping", "ended")]
    ended = heard.one("run_ended")
    assert (ended.reason, ended.complete, ended.levelno) == ("completed", True, logging.INFO)


def test_a_stop_without_a_drain_tells_of_none(heard: Listener) -> None:
    graph = Subgraph.from_nodes("g", [Collect("sink")])
    graph.expose_input("in", "sink:in")
    scheduler = scheduler_of(graph)
    with scheduler:
        scheduler.shutdown(drain=False)
    assert not heard.events("run_draining")
    assert "shutdown" in heard.one("run_stopping").getMessage()


def test_an_error_has_a_traceback_and_says_where_and_in_which_trace(heard: Listener) -> None:
    def fail(value: object) -> None:
        raise ValueError("the reason")

    graph = Subgraph.from_nodes("g", [Map("fails", fail)])
    graph.expose_input("in", "fails:in")
    scheduler = scheduler_of(graph)
    message = Message(MessageType.DATA, 1)
    with scheduler:
        scheduler.input("in").put(message)
    record = heard.one("node_error")
    assert record.levelno == logging.ERROR
    assert (record.graph, record.node, record.port, record.hook) == ("g", "fails", "in", "on_message")
    assert record.trace_id == message.get_trace_id()
    assert record.exc_info[0] is ValueError
    assert record.errors == 1


def test_a_retry_says_which_attempt_failed(heard: Listener) -> None:
    class Stubborn(Collect):
        error_policy = ErrorPolicy.retry(3, backoff_s=0.001)

        def on_message(self, port: str, msg: Message) -> None:
            raise ValueError

    scheduler_of(chain(Source("a", [1]), Stubborn("b"))).run()
    assert [(record.attempt, record.node, record.port) for record in heard.events("retry")] == [
        (1, "b", "in"),
        (2, "b", "in"),
    ]
    assert heard.one("node_error").trace_id == heard.events("retry")[0].trace_id


def test_changes_by_hand_are_told(heard: Listener) -> None:
    graph = Subgraph.from_nodes("g", [Collect("sink")])
    graph.expose_input("in", "sink:in")
    scheduler = scheduler_of(graph)
    with scheduler:
        scheduler.set_priority("input:in->sink:in", PriorityBand.HIGH)
        scheduler.set_capacity("input:in->sink:in", 5)
    assert (heard.one("priority_changed").band, heard.one("priority_changed").edge_id) == ("high", "input:in->sink:in")
    assert heard.one("capacity_changed").capacity == 5


# ---------------------------------------------------------------------------------------- losses


def full_edge(policy: Any) -> Edge:
    edge: Edge = Edge("a", "out", "b", "in", 1, default_policy=policy)
    edge.try_put(0)
    return edge


@pytest.mark.parametrize(
    ("policy", "event", "reason"),
    [(Drop(), "edge_dropped", "full"), (Latest(), "edge_replaced", "full")],
    ids=["drop", "latest"],
)
def test_many_losses_are_one_record_with_the_count(heard: Listener, policy: Any, event: str, reason: str) -> None:
    edge = full_edge(policy)
    for number in range(1000):
        edge.try_put(number)
    records = heard.events(event)
    assert 1 <= len(records) <= 3  # one a second
    assert (records[0].edge_id, records[0].reason, records[0].levelno) == (edge.id, reason, logging.DEBUG)
    assert " 1," in records[0].getMessage()


def test_losses_go_on_being_told_while_they_go_on(heard: Listener) -> None:
    edge = full_edge(Drop())

    def drop_and_count() -> int:
        for number in range(200):
            edge.try_put(number)
        return len(heard.events("edge_dropped"))

    until(lambda: drop_and_count() >= 2)
    first, second = (record.created for record in heard.events("edge_dropped")[:2])
    assert second - first >= 0.95


def test_expired_and_closed_items_are_told_with_their_reason(heard: Listener) -> None:
    edge: Edge = Edge("a", "out", "b", "in", ttl_s=0.001)
    edge.try_put(1)
    until(lambda: edge.stats().expired == 1)
    assert heard.one("edge_expired").reason == "ttl"

    remote = Remote()
    sink = Collect("sink")
    graph = Subgraph.from_nodes("g", [remote, sink])
    edge_id = graph.connect("remote:out", "sink:in")
    graph.expose_input("remote", "remote:calls")
    with scheduler_of(graph) as scheduler:
        next(edge for edge in graph.edges if edge.id == edge_id).close()
        assert remote.emit_there(scheduler, 1) is PutResult.DROPPED
    assert [record.reason for record in heard.events("edge_dropped")] == ["closed"]


def test_nothing_is_made_where_nobody_listens() -> None:
    logger = logging.getLogger("graphflow.edge")
    assert not logger.isEnabledFor(logging.DEBUG)
    asked: list[int] = []

    original = logger.isEnabledFor
    logger.isEnabledFor = lambda level: asked.append(level) or original(level)  # type: ignore[func-returns-value,method-assign]
    try:
        edge = full_edge(Drop())
        for number in range(64 * 100):
            edge.try_put(number)
    finally:
        del logger.isEnabledFor
    assert len(asked) <= 64 + 100


def test_a_handler_that_puts_into_the_very_edge_comes_to_an_end() -> None:
    edge = full_edge(Drop())

    class Shipping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            edge.try_put(record)

    handler, logger = Shipping(), logging.getLogger("graphflow")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        edge.try_put(1)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
    assert edge.stats().dropped == 2


# ---------------------------------------------------------------------------------------- what is never in them


def rows_of_trouble() -> Iterator[tuple[str, Subgraph, dict[str, Any]]]:
    """A graph for each event that is about messages, fed with the secret."""

    class Fails(Collect):
        def on_message(self, port: str, msg: Message) -> Any:
            raise ValueError("no")

    class Retries(Fails):
        error_policy = ErrorPolicy.retry(2, backoff_s=0.001)

    class Letters(Node):
        inputs, outputs = "in", "dead"
        error_policy = ErrorPolicy.dead_letter("dead")

        def on_message(self, port: str, msg: Message) -> None:
            raise ValueError("no")

    class Returns(Collect):
        def on_message(self, port: str, msg: Message) -> Any:
            return msg.payload

    class WrongYield(Node):
        inputs, outputs = "in", ("a", "b")

        def on_message(self, port: str, msg: Message) -> Any:
            yield msg.payload

    class NoPort(Node):
        inputs = "in"

        def on_message(self, port: str, msg: Message) -> Any:
            yield msg.payload

    class Odd:
        def on_enqueue(self, capacity: int, size: int, item: object) -> Any:
            raise ValueError("no")

    for sink in (Fails("x"), Retries("x"), Letters("x"), Returns("x"), WrongYield("x"), NoPort("x")):
        yield type(sink).__name__, chain(Source("a", [SECRET, SECRET])), {"sink": sink}
    yield "schema", chain(Source("a", [SECRET])), {"sink": Collect("x"), "typed": True}
    yield "policy", chain(Source("a", [SECRET])), {"sink": Collect("x"), "policy": Odd()}
    for policy in (Drop(), Latest(), Coalesce(lambda old, new: 1 // 0), Coalesce(lambda old, new: None), Block()):
        yield repr(policy), chain(Source("a", [SECRET] * 200)), {"sink": Collect("x"), "policy": policy, "capacity": 1}


def test_no_payload_is_in_any_record(heard: Listener) -> None:
    for _, graph, options in rows_of_trouble():
        sink = options.pop("sink")
        if options.pop("typed", False):
            graph.add_node(Passing("passing"))
            graph.connect("a:out", "passing:in")
            graph.add_node(sink)
            graph.connect("passing:out", "x:in")
        else:
            graph.add_node(sink)
            graph.connect("a:out", "x:in", **options)
        scheduler = scheduler_of(graph, watchdog_s=0.05)
        with contextlib.suppress(ValueError):
            scheduler.run()
    kinds = {record.event for record in heard.records}  # type: ignore[attr-defined]
    assert kinds >= {"node_error", "retry", "ignored_return", "policy_error", "merge_error", "edge_dropped"}
    text, lines = logging.Formatter(), json_formatter()
    for record in heard.records:
        assert SECRET not in text.format(record)
        assert SECRET not in lines.format(record)
        assert SECRET not in repr({key: value for key, value in vars(record).items() if key != "exc_info"})


class Passing(Node):
    inputs = "in"
    outputs = PortSpec("out", int)

    def on_message(self, port: str, msg: Message) -> None:
        self.emit("out", msg.payload)


# ---------------------------------------------------------------------------------------- the registry


@pytest.mark.source_tree
def test_every_event_that_is_said_is_registered_and_every_registered_one_is_said() -> None:
    paths = [path for path in (ROOT / "graphflow").rglob("*") if path.suffix in {".py", ".pyx"}]
    source = "\n".join(path.read_text() for path in paths if path != ROOT / "graphflow/base/events.py")
    said = set(re.findall(r'say\(\s*\w+,\s*"(\w+)"', source))
    assert said <= set(EVENTS)
    composed = {"run_draining", "run_stopping"}
    assert [event for event in EVENTS if f'"{event}"' not in source and event not in composed] == []


def test_no_field_hides_one_of_logging_itself(heard: Listener) -> None:
    for event in EVENTS:
        say(logging.getLogger("graphflow.test"), event, "x", graph="g", node="n", port="p", edge_id="e", trace_id="t")
    assert len(heard.records) == len(EVENTS)
    used = {key for record in heard.records for key in vars(record)} - RESERVED
    assert used == {"event", "graph", "node", "port", "edge_id", "trace_id"}
    heard.records.clear()


def test_an_application_that_configures_no_logging_sees_no_complaint() -> None:
    code = """
import logging
from graphflow import Drop, Edge
assert any(isinstance(each, logging.NullHandler) for each in logging.getLogger("graphflow").handlers)
edge = Edge("a", "out", "b", "in", 1, default_policy=Drop())
logging.getLogger("graphflow").warning("nobody listens")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_filter_that_raises_breaks_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    class Broken(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            raise RuntimeError("broken filter")

    broken, logger = Broken(), logging.getLogger("graphflow.node")
    logger.addFilter(broken)
    try:

        class Fails(Collect):
            def on_message(self, port: str, msg: Message) -> None:
                raise ValueError

        assert scheduler_of(chain(Source("a", [1]), Fails("b"))).run().complete
    finally:
        logger.removeFilter(broken)
    assert "broken filter" in capsys.readouterr().err


def test_json_lines_have_time_level_logger_and_fields() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(json_formatter())
    logger = logging.getLogger("graphflow")
    logger.addHandler(handler)
    try:

        class Fails(Collect):
            def on_message(self, port: str, msg: Message) -> None:
                raise ValueError("the reason")

        scheduler_of(chain(Source("a", [1]), Fails("b"))).run()
    finally:
        logger.removeHandler(handler)
    line = json.loads(stream.getvalue().splitlines()[0])
    assert (line["level"], line["logger"], line["event"], line["node"]) == (
        "ERROR",
        "graphflow.node",
        "node_error",
        "b",
    )
    assert line["timestamp"].endswith("+00:00")
    assert "the reason" in line["exc_info"]


def test_the_page_lists_every_event_with_its_level() -> None:
    rows = re.findall(r"^\| (\w+) \| ([A-Z]+) \|", (ROOT / "docs" / "logging.md").read_text(), re.MULTILINE)
    assert {event: logging.getLevelName(level) for event, level in EVENTS.items()} == dict(rows)
    assert list(EVENTS) == [event for event, _ in rows]
