"""Records made inside hooks know their node and trace id; the latest records are kept in memory, as text."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import subprocess
import sys
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from graphs import DEADLINE_S, Collect, Map, Source, Ticker, chain, control, scheduler_of

from graphflow import ErrorPolicy, Message, MessageType, Node, Subgraph
from graphflow.core.messages.trace_id import set_id_source
from graphflow.observability import ContextFilter, RecentLogs, json_formatter, recent_logs

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
mine = logging.getLogger("mine")


class Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[Any] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def heard() -> Iterator[Heard]:
    handler = Heard()
    handler.addFilter(ContextFilter())
    mine.addHandler(handler)
    mine.setLevel(logging.INFO)
    yield handler
    mine.removeHandler(handler)


class Says(Collect):
    def on_message(self, port: str, msg: Message) -> Any:
        mine.info("here")
        super().on_message(port, msg)


class SaysInTwos(Says):
    max_concurrency = 2


class SaysRetrying(Says):
    error_policy = ErrorPolicy.retry(2)


class SaysYielding(Node):
    inputs, outputs = "in", "out"

    def on_message(self, port: str, msg: Message) -> Iterator[Any]:
        mine.info("here")
        yield 1
        mine.info("here")


class SaysAwaiting(Node):
    inputs = "in"

    async def on_message(self, port: str, msg: Message) -> None:
        mine.info("here")
        await asyncio.sleep(0)
        mine.info("here")


class SaysAwaitingInTwos(SaysAwaiting):
    max_concurrency = 2


@pytest.mark.parametrize("kind", [Says, SaysInTwos, SaysRetrying, SaysYielding, SaysAwaiting, SaysAwaitingInTwos])
def test_a_record_knows_the_node_and_the_trace_of_its_message(heard: Heard, kind: type[Node]) -> None:
    messages = [Message(MessageType.DATA, number) for number in range(5)]
    graph = Subgraph.from_nodes("outer", [Source("a", messages)])
    graph.add_subgraph(Subgraph.from_nodes("inner", [kind("says")]))
    graph.subgraphs["inner"].expose_input("in", "says:in")
    graph.connect("a:out", "inner:in")
    scheduler_of(graph).run()
    assert {(record.graph, record.node) for record in heard.records} == {("outer", "inner/says")}
    traces = [record.trace_id for record in heard.records]
    assert set(traces) == {message.get_trace_id() for message in messages}
    assert len(traces) in (5, 10)


def test_a_child_logs_under_its_parents_trace(heard: Heard) -> None:
    message = Message(MessageType.DATA, 1)
    scheduler_of(chain(Source("a", [message]), Map("b"), Says("c"))).run()
    assert [record.trace_id for record in heard.records] == [message.get_trace_id()]


def test_other_hooks_have_a_node_and_no_trace(heard: Heard) -> None:
    class Hooks(Ticker):
        def on_start(self) -> None:
            mine.info("start")

        def on_stop(self) -> None:
            mine.info("stop")

    ticker = Hooks("ticker", 5, lambda _: mine.info("tick"))
    graph = Subgraph.from_nodes("g", [ticker])
    with scheduler_of(graph):
        assert ticker.ticked.wait(DEADLINE_S)
    assert {record.getMessage() for record in heard.records} == {"start", "tick", "stop"}
    assert {(record.node, record.trace_id) for record in heard.records} == {("ticker", "")}


def test_outside_of_hooks_the_fields_are_empty(heard: Heard) -> None:
    class Spawns(Collect):
        def on_message(self, port: str, msg: Message) -> None:
            thread = threading.Thread(target=lambda: mine.info("from a thread of its own"))
            thread.start()
            thread.join(DEADLINE_S)

    mine.info("before")
    scheduler_of(chain(Source("a", [1]), Spawns("b"))).run()
    assert [(record.graph, record.node, record.trace_id) for record in heard.records] == [("", "", "")] * 2


def test_a_field_that_is_given_stays(heard: Heard) -> None:
    class Gives(Collect):
        def on_message(self, port: str, msg: Message) -> None:
            mine.info("x", extra={"node": "another", "trace_id": "t"})

    scheduler_of(chain(Source("a", [1]), Gives("b"))).run()
    (record,) = heard.records
    assert (record.graph, record.node, record.trace_id) == ("chain", "another", "t")


def test_a_control_message_during_a_suspended_handler_logs_under_its_own_trace(heard: Heard) -> None:
    says = Says("says")
    graph = Subgraph.from_nodes("g", [says])
    graph.expose_input("in", "says:in")
    note = control("now")
    with scheduler_of(graph) as scheduler:
        scheduler.input("in").put(note)
        says.expect(1)
    assert [record.trace_id for record in heard.records] == [note.get_trace_id()]


def test_a_message_that_logs_nothing_makes_no_trace_id(heard: Heard) -> None:
    made: list[int] = []

    def source() -> int:
        made.append(1)
        return len(made)

    class Quiet(Collect):
        def on_message(self, port: str, msg: Message) -> None:
            mine.debug("not heard")

    set_id_source(source)
    try:
        scheduler_of(chain(Source("a", range(100)), Map("b"), Quiet("c"))).run()
    finally:
        set_id_source(None)
    assert (made, heard.records) == ([], [])


# ---------------------------------------------------------------------------------------- the latest records


@pytest.fixture
def kept() -> Iterator[RecentLogs]:
    handler = RecentLogs(5)
    mine.addHandler(handler)
    mine.setLevel(logging.INFO)
    yield handler
    mine.removeHandler(handler)


def test_only_the_latest_are_kept(kept: RecentLogs) -> None:
    for number in range(12):
        mine.info("number %d", number)
    assert [record["message"] for record in kept.records()] == [f"number {number}" for number in range(7, 12)]
    assert kept.lines()[-1].endswith("INFO mine: number 11")
    kept.clear()
    assert kept.records() == []


def test_a_kept_record_is_text_and_numbers_and_holds_on_to_nothing() -> None:
    kept, alone = RecentLogs(5), logging.Logger("alone")  # noqa: LOG001  pytest's own handlers hold on to records
    alone.addHandler(kept)

    class Thing:
        pass

    thing = Thing()
    gone = weakref.ref(thing)
    try:
        raise ValueError("the reason")
    except ValueError:
        alone.exception("about %s", thing, extra={"thing": thing, "count": 3, "edge_id": "e"})
    del thing
    gc.collect()
    assert gone() is None
    (record,) = kept.records()
    json.dumps(record)
    assert (record["level"], record["logger"], record["count"], record["edge_id"]) == ("ERROR", "alone", 3, "e")
    assert "Thing" in record["thing"]
    assert record["traceback"].rstrip().endswith("ValueError: the reason")
    assert "the reason" in kept.lines()[0]


def test_kept_records_know_their_node(kept: RecentLogs) -> None:
    scheduler_of(chain(Source("a", [1]), Says("says"))).run()
    (record,) = kept.records()
    assert (record["graph"], record["node"], len(record["trace_id"])) == ("chain", "says", 32)


def test_all_handlers_together_give_each_record_once_in_order(kept: RecentLogs) -> None:
    second = RecentLogs(100)
    mine.addHandler(second)
    try:
        for number in range(3):
            mine.info("both %d", number)
    finally:
        mine.removeHandler(second)
    together = [record["message"] for record in recent_logs() if record["message"].startswith("both")]
    assert together == ["both 0", "both 1", "both 2"]


def test_many_threads_keep_what_they_log(kept: RecentLogs) -> None:
    def say() -> None:
        for number in range(200):
            mine.info("%d", number)
            assert len(kept.records()) <= 5

    threads = [threading.Thread(target=say) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert len(kept.records()) == 5


@pytest.mark.parametrize("capacity", [0, -1, 1.5, True, "9"])
def test_a_capacity_that_is_none_is_refused(capacity: Any) -> None:
    with pytest.raises(ValueError, match="capacity must be a whole number of records"):
        RecentLogs(capacity)


def test_json_options_of_the_library_can_be_given() -> None:
    record = logging.makeLogRecord({"msg": "x", "name": "n", "levelname": "INFO"})
    assert json.loads(json_formatter(timestamp=False).format(record)) == {
        "level": "INFO",
        "logger": "n",
        "message": "x",
    }


def test_without_the_library_it_says_what_to_install() -> None:
    code = """
import sys
sys.modules["pythonjsonlogger"] = None
import graphflow.observability as o
o.RecentLogs(3); o.ContextFilter()
try:
    o.json_formatter()
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.stdout == "json_formatter() needs python-json-logger: pip install 'graphflow[logs]'\n", done.stderr


def test_an_unknown_name_is_answered_with_those_there_are() -> None:
    import graphflow.observability

    with pytest.raises(AttributeError, match=r"no attribute 'Nothing'; it has .*RecentLogs"):
        _ = graphflow.observability.Nothing
    assert "RecentLogs" in dir(graphflow.observability)
