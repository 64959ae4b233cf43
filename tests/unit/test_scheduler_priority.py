"""Bands share the turns by weight, nodes of a band in turn, and the control plane goes before the data plane."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from graphs import assert_graph_conserved, control, scheduler_of
from turns import CONTROL, HIGH, NORMAL, Held, Turn, Turns, finish, saturated

from graphflow import Message, Node, PriorityBand, Subgraph

if TYPE_CHECKING:
    from collections.abc import Mapping

RATIOS = [(4, 2, 1), (1, 1, 1), (8, 1, 1)]
TURNS = 1000


def assert_shares(counts: Counter[str], shares: Mapping[Any, float], whole: int) -> None:
    """Each within 10 % of its share of the turns."""
    for name, share in shares.items():
        due = whole * share
        assert abs(counts[name] - due) <= 0.1 * due, f"{name} is due {due:.0f} turns: {counts}"


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("workers", [1, 2])
def test_saturated_bands_share_the_turns_by_their_ratio(ratio: tuple[int, int, int], workers: int) -> None:
    """With one node more than a worker can be inside of, a band always has one that is ready."""
    turns = Turns(TURNS, workers)
    bands = {f"{band.name}{number}": band for band in PriorityBand for number in range(workers)}
    graph = Subgraph.from_nodes("g", [Turn(name, turns) for name in bands])
    names = saturated(graph, turns, bands, fairness_ratio=ratio, max_batch_per_node=1)
    counts = Counter(name.rstrip("01") for name in names)
    assert_shares(counts, dict(zip(("CONTROL", "HIGH", "NORMAL"), (n / sum(ratio) for n in ratio), strict=True)), TURNS)


class Inputs(Node):
    """Writes down which of its inputs each message came by."""

    inputs = ("CONTROL", "HIGH", "NORMAL")

    def __init__(self) -> None:
        super().__init__("node")
        self.seen: list[str] = []

    def on_message(self, port: str, msg: Message) -> None:
        self.seen.append(port)


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("batch", [1, 64])
def test_the_inputs_of_one_node_share_its_messages_by_the_ratio(ratio: tuple[int, int, int], batch: int) -> None:
    node = Inputs()
    graph = Subgraph.from_nodes("g", [node])
    for band in PriorityBand:
        graph.expose_input(band.name, ("node", band.name), capacity=TURNS, priority=band)
    scheduler = scheduler_of(graph, workers=1, fairness_ratio=ratio, max_batch_per_node=batch)
    finish(scheduler, {band.name: range(TURNS) for band in PriorityBand})
    assert_graph_conserved(graph)
    shares = dict(zip(("CONTROL", "HIGH", "NORMAL"), (n / sum(ratio) for n in ratio), strict=True))
    assert_shares(Counter(node.seen[:TURNS]), shares, TURNS)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("count", [2, 3, 50])
def test_fairness_within_priority_band_round_robin(count: int, workers: int) -> None:
    """Nodes that are always ready get equal shares of the turns; on one worker strictly one after the other."""
    turns = Turns(TURNS, workers)
    bands = {f"n{number}": NORMAL for number in range(count)}
    graph = Subgraph.from_nodes("g", [Turn(name, turns) for name in bands])
    names = saturated(graph, turns, bands, max_batch_per_node=1)
    assert_shares(Counter(names), dict.fromkeys(bands, 1 / count), TURNS)
    if workers == 1:
        first = names[:count]
        assert set(first) == set(bands)
        assert names == (first * TURNS)[:TURNS]


@pytest.mark.parametrize("batch", [1, 8])
def test_a_node_that_keeps_making_itself_ready_does_not_overtake(batch: int) -> None:
    """One node feeds itself by two edges, so that it is woken in its own turns; the others only have what they have."""
    turns = Turns(TURNS)

    def again(node: Turn, msg: Message) -> None:
        if len(turns.log) < turns.wanted:
            node.emit("out", msg.payload)

    names = ["eager", "b", "c", "d"]
    graph = Subgraph.from_nodes("g", [Turn(name, turns, again if name == "eager" else None) for name in names])
    graph.connect("eager:out", "eager:in", capacity=10 * TURNS)
    counts = Counter(saturated(graph, turns, dict.fromkeys(names, NORMAL), max_batch_per_node=batch))
    assert_shares(counts, dict.fromkeys(names, 1 / 4), TURNS)


@pytest.mark.parametrize("batch", [1, 8])
def test_a_node_that_gets_control_takes_no_more_data_turns_than_the_others(batch: int) -> None:
    """It sends itself a control message with each data message: those go first, but its data waits its turn.

    Control that comes in its data turn is part of the batch, so in batches it handles half as much data as the others.
    """
    turns = Turns(2 * TURNS)

    def ring(node: Turn, msg: Message) -> None:
        if msg.is_data():
            node.emit("out", control("ring"))

    names = ["rings", "b", "c"]
    graph = Subgraph.from_nodes("g", [Turn(name, turns, ring if name == "rings" else None) for name in names])
    graph.connect("rings:out", "rings:in")
    saturated(graph, turns, dict.fromkeys(names, NORMAL), max_batch_per_node=batch)
    data = [name for name, payload in turns.log if payload != "ring"][:TURNS]
    shares = (1, 1, 1) if batch == 1 else (0.5, 1, 1)
    assert_shares(Counter(data), dict(zip(names, (n / sum(shares) for n in shares), strict=True)), TURNS)


def test_a_node_keeps_its_place_in_its_band_when_control_comes() -> None:
    """Control for the last in line, before each turn: it is handled at once, and costs the node no turn."""
    turns = Turns(1200)
    names = ["a", "b", "last"]
    graph = Subgraph("g")

    def ring(node: Turn, msg: Message) -> None:
        if msg.is_data():
            node.emit("out", control("ring"))

    for name in names:
        graph.add_node(Turn(name, turns, None if name == "last" else ring))
    for name in "ab":
        graph.connect((name, "out"), "last:in")
    saturated(graph, turns, dict.fromkeys(names, NORMAL), max_batch_per_node=1)
    data = [name for name, payload in turns.log if payload != "ring"][:600]
    assert_shares(Counter(data), dict.fromkeys(names, 1 / 3), 600)


def test_control_plane_preempts_data_plane() -> None:
    """A control message that is sent in the middle of a batch is the next thing that the worker handles, and the cut
    node goes on with the rest of its batch before the other nodes of its band."""
    turns = Turns(20 + 1)
    cutting = partial(_ring_at, 3)
    nodes = [Turn("a", turns, cutting), Turn("b", turns), Turn("listens", turns)]
    graph = Subgraph.from_nodes("g", nodes)
    graph.connect("a:out", "listens:in")
    for name in "ab":
        graph.expose_input(name, (name, "in"))
    with Held(graph, max_batch_per_node=8) as held:
        for name in "ab":
            held.scheduler.input(name).put_many(range(10))
    a, b = [("a", n) for n in range(10)], [("b", n) for n in range(10)]
    assert turns.log == [*a[:4], ("listens", "ring"), *a[4:8], *b[:8], *a[8:], *b[8:]]


def _ring_at(payload: Any, node: Turn, msg: Message) -> None:
    if msg.payload == payload:
        node.emit("out", control("ring"))


@pytest.mark.parametrize(("ratio", "preempts"), [((4, 2, 1), True), ((1, 1, 1), False)])
def test_a_higher_band_cuts_a_turn_while_it_has_credit(ratio: tuple[int, int, int], preempts: bool) -> None:
    """Each message of `slow` sends one to `fast`, in the HIGH band; a turn of either ends what is due to the band."""
    turns = Turns(40)
    fast = Turn("fast", turns)
    graph = Subgraph.from_nodes("g", [Turn("slow", turns, lambda node, msg: node.emit("out", msg.payload)), fast])
    graph.connect("slow:out", "fast:in", priority=HIGH)
    graph.expose_input("slow", "slow:in")
    with Held(graph, max_batch_per_node=10, fairness_ratio=ratio) as held:
        held.scheduler.input("slow").put_many(range(20))
    before_fast = [name for name, _ in turns.log].index("fast")
    assert before_fast == 1  # the first message cuts the first batch
    answered = [payload for name, payload in turns.log if name == "fast"]
    assert answered == list(range(20))
    second = turns.names[2:].index("fast")
    assert (second == 1) is preempts, turns.log


def test_pq_edge_cases_and_starvation_avoidance() -> None:
    """Under a flood of control that never ends every band gets its share of the turns that come after each 64."""
    turns = Turns(TURNS)

    def for_ever(node: Turn, msg: Message) -> None:
        if len(turns.log) < turns.wanted:
            node.emit("out", control("again"))

    bands = {"c": CONTROL, "h": HIGH, "n": NORMAL}
    graph = Subgraph.from_nodes("g", [Turn("flood", turns, for_ever), *(Turn(name, turns) for name in bands)])
    graph.connect("flood:out", "flood:in", control_capacity=8)
    graph.expose_input("flood", "flood:in")
    for name, band in bands.items():
        graph.expose_input(name, (name, "in"), priority=band)
    inputs: dict[str, Any] = dict.fromkeys(bands, range(20))
    finish(scheduler_of(graph, workers=1, max_batch_per_node=1), {"flood": [control(0), control(1)], **inputs})
    assert_graph_conserved(graph)
    assert longest_run(turns.names, "flood") == 64
    banded = [name for name in turns.names if name != "flood"]
    assert Counter(banded[:14]) == {"c": 8, "h": 4, "n": 2}


def test_a_flood_of_control_keeps_neither_its_own_data_nor_other_nodes_from_a_turn() -> None:
    """What is due after 64 messages goes to the nodes that wait in the bands, and to the flooded one beside them."""
    turns = Turns(TURNS)

    def for_ever(node: Turn, msg: Message) -> None:
        if msg.is_control() and len(turns.log) < turns.wanted:
            node.emit("out", control("again"))

    graph = Subgraph.from_nodes("g", [Turn("flood", turns, for_ever), Turn("other", turns)])
    graph.connect("flood:out", "flood:in")
    for name in ("flood", "other"):
        graph.expose_input(name, (name, "in"))
    finish(scheduler_of(graph, workers=1), {"flood": [control("again"), *range(100)], "other": range(100)})
    assert_graph_conserved(graph)
    for name in ("flood", "other"):
        handled = [payload for who, payload in turns.log if who == name and payload != "again"]
        assert handled == list(range(len(handled)))
        assert len(handled) >= TURNS // (64 + 2) - 1


def longest_run(names: list[str], name: str) -> int:
    longest = run = 0
    for each in names:
        run = run + 1 if each == name else 0
        longest = max(longest, run)
    return longest


@pytest.mark.parametrize("controls", [(40, 64), (200, 200, 200, 200)])
@pytest.mark.parametrize("alone", [True, False], ids=["data elsewhere", "data behind the control"])
def test_one_banded_turn_after_64_control_messages_whoever_they_are_for(controls: tuple[int, ...], alone: bool) -> None:
    """The run of control is counted over all nodes, and data of nodes that have control too counts as waiting."""
    data = 5
    turns = Turns(sum(controls) + data * (1 if alone else len(controls)))
    names = [f"n{number}" for number in range(len(controls))]
    graph = Subgraph.from_nodes("g", [Turn(name, turns) for name in [*names, "data"]])
    for name in [*names, "data"]:
        graph.expose_input(name, (name, "in"), control_capacity=200)
    inputs: dict[str, Any] = {}
    for name, count in zip(names, controls, strict=True):
        inputs[name] = [*(control("lane") for _ in range(count)), *([] if alone else range(data))]
    inputs["data"] = range(data) if alone else []
    finish(scheduler_of(graph, workers=1), inputs)
    assert_graph_conserved(graph)
    payloads = [str(payload) for _, payload in turns.log]
    until_data_is_gone = payloads[: max(index for index, payload in enumerate(payloads) if payload != "lane")]
    assert longest_run(until_data_is_gone, "lane") == 64
    assert {name for name, payload in turns.log if payload != "lane"} == ({"data"} if alone else set(names))


@pytest.mark.parametrize(("band", "order"), [(HIGH, ["c", "a", "b"]), (NORMAL, ["a", "b", "c"])])
def test_set_priority_moves_a_waiting_node_at_once(band: PriorityBand, order: list[str]) -> None:
    turns = Turns(3)
    graph = Subgraph.from_nodes("g", [Turn(name, turns) for name in "abc"])
    for name in "abc":
        graph.expose_input(name, (name, "in"))
    with Held(graph) as held:
        for name in "abc":
            held.scheduler.input(name).put(name)
        held.scheduler.set_priority("input:c->c:in", band)
    assert turns.names == order


def test_set_priority_moves_a_waiting_node_down_too() -> None:
    turns = Turns(3)
    graph = Subgraph.from_nodes("g", [Turn(name, turns) for name in "abc"])
    for name in "abc":
        graph.expose_input(name, (name, "in"), priority=HIGH if name == "a" else NORMAL)
    with Held(graph) as held:
        for name in "abc":
            held.scheduler.input(name).put(name)
        held.scheduler.set_priority("input:a->a:in", NORMAL)
    assert turns.names == ["b", "c", "a"]


def test_a_node_waits_at_the_level_of_its_most_urgent_input() -> None:
    """Each input's band counts only while it holds something."""
    turns = Turns(5)
    graph = Subgraph.from_nodes("g", [Turn("both", turns), Turn("a", turns), Turn("b", turns)])
    for name in "ab":
        graph.expose_input(name, (name, "in"))
    graph.expose_input("low", "both:in")
    graph.expose_input("high", "both:in", priority=HIGH)
    with Held(graph, max_batch_per_node=1) as held:
        for name, item in (("a", "a"), ("low", "low"), ("b", "b"), ("high", "high"), ("low", "low again")):
            held.scheduler.input(name).put(item)
    payloads = [payload for _, payload in turns.log]
    assert payloads[0] == "high"
    assert payloads.index("a") < payloads.index("b") < payloads.index("low again")
