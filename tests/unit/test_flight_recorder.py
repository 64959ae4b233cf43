"""The flight recorder: the latest scheduler events, as values, JSON and a trace with one row a worker."""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from graphs import DEADLINE_S, Collect, Gate, Map, Remote, Source, Ticker, chain, control, scheduler_of, until

from graphflow import ErrorPolicy, FlightRecording, Message, Node, Scheduler, Subgraph

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def ran(*nodes: Node, **config: Any) -> FlightRecording:
    scheduler = scheduler_of(chain(*nodes), **config)
    scheduler.run()
    return scheduler.flight_recording()


def kinds(recording: FlightRecording) -> Counter[str]:
    return Counter(event.event for event in recording.events)


def test_every_turn_of_every_node_is_in_it() -> None:
    scheduler = scheduler_of(chain(Source("a", range(500)), Map("b"), Collect("c"), capacity=4), workers=2)
    scheduler.run()
    recording, snapshot = scheduler.flight_recording(), scheduler.snapshot()
    assert recording.overwritten == 0
    begun = Counter(event.node for event in recording.events if event.event == "turn begins")
    ended = Counter(event.node for event in recording.events if event.event == "turn ends")
    assert begun == ended == {path: node.turns for path, node in snapshot.nodes.items()}
    levels = Counter(event.detail for event in recording.events if event.event == "turn begins")
    assert levels == {level: turns for level, turns in snapshot.scheduler.turns.items() if turns}


def test_each_worker_does_one_thing_at_a_time_in_order() -> None:
    recording = ran(Source("a", range(3000)), Map("b"), Collect("c"), workers=3, flight_recorder_bytes=16_000_000)
    for worker in {event.worker for event in recording.events if event.worker is not None}:
        mine = [event for event in recording.events if event.worker == worker]
        assert [event.at_s for event in mine] == sorted(event.at_s for event in mine)
        doing: list[str] = []
        for event in mine:
            if event.event in ("turn begins", "park"):
                assert not doing
                doing.append(event.event)
            elif event.event in ("turn ends", "wake"):
                assert doing.pop() == {"turn ends": "turn begins", "wake": "park"}[event.event]


def test_the_phases_of_a_run_are_in_it_in_order() -> None:
    recording = ran(Source("a", [1]), Collect("b"))
    phases = [event.detail for event in recording.events if event.event == "phase"]
    assert phases == ["starting", "running", "draining", "stopping", "stopped"]


def test_ticks_errors_and_control_are_in_it() -> None:
    class Fails(Collect):
        def on_message(self, port: str, msg: Message) -> None:
            if msg.is_data():
                raise ValueError
            super().on_message(port, msg)

    ticker, fails = Ticker("ticker", 5, lambda _: None), Fails("fails")
    graph = Subgraph.from_nodes("g", [ticker, fails])
    graph.expose_input("in", "fails:in")
    scheduler = scheduler_of(graph)
    with scheduler:
        scheduler.input("in").put(1)
        scheduler.input("in").put(control(2))
        fails.expect(1)
        assert ticker.ticked.wait(DEADLINE_S)
        until(lambda: scheduler.snapshot().nodes["fails"].errors == 1)
    events = scheduler.flight_recording().events
    assert {event.node for event in events if event.event == "tick"} == {"ticker"}
    assert [event.node for event in events if event.event == "error"] == ["fails"]
    assert [event.node for event in events if event.event == "control"] == ["fails"]
    (error,) = (event for event in events if event.event == "error")
    assert error.worker is not None
    assert error.worker.startswith("worker-")


def test_a_turn_that_was_cut_says_so() -> None:
    remote, urgent = Gate("low"), Collect("urgent")
    graph = Subgraph.from_nodes("g", [remote, urgent])
    graph.expose_input("low", "low:in")
    graph.expose_input("urgent", "urgent:in")
    scheduler = scheduler_of(graph, workers=1)
    with scheduler:
        for number in range(3):
            scheduler.input("low").put(number)
        assert remote.entered.wait(DEADLINE_S)
        scheduler.input("urgent").put(control(1))
        remote.opened.set()
        remote.expect(3)
    ends = [event.detail for event in scheduler.flight_recording().events if event.event == "turn ends"]
    assert "cut" in ends


def test_only_the_latest_are_kept() -> None:
    recording = ran(Source("a", range(2000)), Map("b"), Collect("c"), flight_recorder_bytes=160, watchdog_s=1e-3)
    assert 10 <= len(recording.events) <= 10 + 2, "and what the workers are in"
    assert recording.overwritten > 10
    assert recording.events[-1].at_s >= recording.events[0].at_s
    assert "stopped" in {event.detail for event in recording.events}


@pytest.mark.untraced  # traced turns are so slow that the bytes hold nearly all of them
def test_under_load_it_covers_the_time_after_which_the_watchdog_speaks_in_the_bytes_that_it_has() -> None:
    """512 events are a few milliseconds of these turns."""
    began = time.monotonic()

    def numbers() -> Iterator[int]:
        while time.monotonic() - began < 1.0:
            yield 1

    watchdog_s = 0.4
    recording = ran(
        Source("a", numbers()), Map("b"), Collect("c"), workers=2, watchdog_s=watchdog_s, flight_recorder_bytes=8192
    )
    assert len(recording.events) <= 8192 // 16 + 3
    assert recording.left_out > 512
    running = next(event for event in recording.events if event.detail != "starting" and event.at_s > 0)
    assert recording.events[-1].at_s - running.at_s >= watchdog_s
    times = [event.at_s for event in recording.events if recording.events[-1].at_s - event.at_s <= watchdog_s]
    assert max(later - one for one, later in pairwise(times)) < watchdog_s / 2, "left out evenly"


def test_the_turn_that_a_worker_is_in_is_known_when_all_else_was_overwritten() -> None:
    gate, busy = Gate("gate"), Collect("busy")
    graph = Subgraph.from_nodes("g", [gate, busy])
    graph.expose_input("gate", "gate:in")
    graph.expose_input("busy", "busy:in")
    scheduler = scheduler_of(graph, workers=2, flight_recorder_bytes=16 * 12, watchdog_s=0.001)
    with scheduler:
        scheduler.input("gate").put(1)
        assert gate.entered.wait(DEADLINE_S)
        for number in range(200):
            scheduler.input("busy").put(number)
            busy.expect(number + 1)
        mine = [event.event for event in scheduler.flight_recording().events if event.node == "gate"]
        gate.opened.set()
    assert mine[0] == "turn begins"
    assert "turn ends" not in mine


def test_a_recorder_of_size_zero_keeps_nothing() -> None:
    recording = ran(Source("a", range(10)), Collect("b"), flight_recorder_bytes=0)
    assert (recording.events, recording.overwritten) == ((), 0)


def test_before_the_first_run_there_is_nothing_in_it() -> None:
    recording = Scheduler().flight_recording()
    assert (recording.events, recording.reason) == ((), "asked")
    assert recording.to_chrome()["traceEvents"]


def test_dedicated_nodes_and_the_event_loop_have_rows_of_their_own() -> None:
    class Alone(Map):
        dedicated = True

    class Awaits(Node):
        inputs = "in"

        async def on_message(self, port: str, msg: Message) -> None:
            pass

    recording = ran(Source("a", range(10)), Alone("alone"), Awaits("awaits"))
    workers = {event.node: event.worker for event in recording.events if event.event == "turn begins"}
    assert workers["alone"] == "dedicated-1"
    assert workers["awaits"] == "loop"
    assert kinds(recording)["turn begins"] == kinds(recording)["turn ends"]


# ---------------------------------------------------------------------------------------- as files


def test_the_trace_has_a_row_a_worker_and_its_slices_nest() -> None:
    recording = ran(Source("a", range(3000)), Map("b"), Collect("c"), workers=2, flight_recorder_bytes=1024)
    trace = json.loads(json.dumps(recording.to_chrome()))
    rows = {event["tid"]: event["args"]["name"] for event in trace["traceEvents"] if event["name"] == "thread_name"}
    assert set(rows.values()) <= {"worker-0", "worker-1", "other threads"}
    open_slices: dict[int, list[str]] = {row: [] for row in rows}
    times: dict[int, float] = dict.fromkeys(rows, 0.0)
    for event in trace["traceEvents"]:
        if event["ph"] in "MC":
            continue
        assert event["ts"] >= times[event["tid"]]
        times[event["tid"]] = event["ts"]
        if event["ph"] == "B":
            open_slices[event["tid"]].append(event["name"])
        elif event["ph"] == "E":
            assert open_slices[event["tid"]].pop() == event["name"]
        else:
            assert event["ph"] == "i"
    assert {event["name"] for event in trace["traceEvents"] if event["ph"] == "B"} <= {"a", "b", "c", "asleep"}


def test_the_trace_has_a_counter_of_each_edges_depth_and_no_empty_arguments() -> None:
    gate = Gate()
    graph = Subgraph.from_nodes("g", [gate])
    graph.expose_input("in", "gate:in")
    scheduler = scheduler_of(graph, watchdog_s=0.04)
    with scheduler:
        scheduler.input("in").put_many(range(5))
        until(lambda: len(scheduler.flight_recording().depths) >= 3)
        recording = scheduler.flight_recording()
        gate.opened.set()
    assert {seen.edge for seen in recording.depths} == {"input:in->gate:in"}
    assert recording.depths[-1].depth == 4
    events = recording.to_chrome()["traceEvents"]
    counters = [event for event in events if event["ph"] == "C"]
    assert [event["args"] for event in counters] == [{"messages": seen.depth} for seen in recording.depths]
    assert {event["name"] for event in counters} == {"depth of input:in->gate:in"}
    assert [event for event in events if "args" in event and not all(map(str, event["args"].values()))] == []


def test_writing_makes_the_folder_and_both_files(tmp_path: Path) -> None:
    recording = ran(Source("a", range(3)), Collect("b"))
    paths = recording.write(tmp_path / "deep" / "er", "mine")
    assert [path.name for path in paths] == ["mine.json", "mine.trace.json"]
    plain, trace = (json.loads(path.read_text()) for path in paths)
    assert len(plain["events"]) == len(recording.events)
    assert plain["events"][0].keys() == {"at_s", "event", "worker", "node", "detail"}
    assert trace["otherData"]["graph"] == "chain"


class Fatal(Collect):
    error_policy = ErrorPolicy.STOP_GRAPH

    def on_message(self, port: str, msg: Message) -> None:
        raise ValueError("the end")


def test_an_error_that_stops_the_graph_keeps_a_recording_and_writes_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scheduler = scheduler_of(chain(Source("a", [1]), Fatal("b")), flight_folder=tmp_path, name="odd name/é")
    with caplog.at_level(logging.INFO, "graphflow"), pytest.raises(ValueError, match="the end"):
        scheduler.run()
    kept = scheduler.kept_recordings["error"]
    assert kept.reason == "error"
    assert [event.node for event in kept.events if event.event == "error"] == ["b"]
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["odd_name_é-error-1.json", "odd_name_é-error-1.trace.json"]
    assert any(getattr(record, "event", "") == "flight_recorded" for record in caplog.records)


def test_a_later_run_overwrites_no_recording(tmp_path: Path) -> None:
    scheduler = scheduler_of(chain(Source("a", [1]), Fatal("b")), flight_folder=tmp_path)
    for _ in range(2):
        with pytest.raises(ValueError, match="the end"):
            scheduler.run()
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {f"chain-error-{number}.{kind}" for number in (1, 2) for kind in ("json", "trace.json")}


def test_without_a_folder_it_is_kept_and_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    scheduler = scheduler_of(chain(Source("a", [1]), Fatal("b")))
    with pytest.raises(ValueError, match="the end"):
        scheduler.run()
    assert set(scheduler.kept_recordings) == {"error"}
    assert list(tmp_path.iterdir()) == []


def test_a_stall_keeps_a_recording_that_names_the_node(tmp_path: Path) -> None:
    gate = Gate()
    graph = Subgraph.from_nodes("g", [gate])
    graph.expose_input("in", "gate:in")
    scheduler = scheduler_of(graph, watchdog_s=0.05, flight_folder=str(tmp_path))
    with scheduler:
        scheduler.input("in").put(1)
        until(lambda: "stall" in scheduler.kept_recordings)
        until(lambda: len(list(tmp_path.iterdir())) == 2)
        gate.opened.set()
    kept = scheduler.kept_recordings["stall"]
    assert [event.node for event in kept.events if event.event == "stall"] == ["gate"]
    inside = [event for event in kept.events if event.event.startswith("turn") and event.node == "gate"]
    assert inside[-1].event == "turn begins"  # it is in there still


def test_a_folder_that_cannot_be_written_to_is_logged_and_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    scheduler = scheduler_of(chain(Source("a", [1]), Fatal("b")), flight_folder=blocked)
    with pytest.raises(ValueError, match="the end"):
        scheduler.run()
    assert any("cannot be written" in record.getMessage() for record in caplog.records)
    assert "error" in scheduler.kept_recordings


def test_a_recording_can_be_taken_while_the_graph_works() -> None:
    remote, sink = Remote(), Collect("sink")
    graph = Subgraph.from_nodes("g", [remote, sink])
    graph.connect("remote:out", "sink:in")
    graph.expose_input("remote", "remote:calls")
    scheduler = scheduler_of(graph)
    with scheduler:
        for number in range(50):
            remote.emit_there(scheduler, number)
            recording = scheduler.flight_recording()
            assert recording.graph == "g"
            json.dumps(recording.to_dict())
