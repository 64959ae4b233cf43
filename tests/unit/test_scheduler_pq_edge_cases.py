"""The ready queue where it could go wrong: nodes that come back, bands that run empty, ratios that pull."""

from __future__ import annotations

from collections import Counter

import pytest
from graphs import until
from turns import CONTROL, HIGH, NORMAL, Held, Turn, Turns, saturated

from graphflow import Message, PriorityBand, Subgraph


def test_deduplication_on_reenqueue() -> None:
    """Woken by many edges, moved between the bands, paused and resumed: a node stands in the queue once."""
    turns = Turns(40)
    graph = Subgraph.from_nodes("g", [Turn("often", turns), Turn("once", turns)])
    for number in range(10):
        graph.expose_input(f"i{number}", "often:in")
    graph.expose_input("once", "once:in")
    with Held(graph, max_batch_per_node=5) as held:
        scheduler = held.scheduler
        scheduler.input("once").put_many(range(20))
        for number in range(10):
            scheduler.input(f"i{number}").put_many([number, number])
            scheduler.set_priority(f"input:i{number}->often:in", CONTROL)
            scheduler.set_priority(f"input:i{number}->often:in", NORMAL)
            scheduler.pause("often")
            scheduler.resume("often")
        assert scheduler.get_stats()["runnable_nodes"] == 3  # the one that is running, and each that waits
    assert turns.names == (["once"] * 5 + ["often"] * 5) * 4


@pytest.mark.parametrize("batch", [1, 3])
def test_fifo_within_band_under_reenqueue(batch: int) -> None:
    """Nodes come back to the end of the line in the order in which they first got ready, whoever else comes back."""
    order = ["d", "a", "c", "b"]
    turns = Turns(4 * 3 * batch)
    graph = Subgraph.from_nodes("g", [Turn(name, turns) for name in "abcd"])
    for name in "abcd":
        graph.expose_input(name, (name, "in"))
    with Held(graph, max_batch_per_node=batch) as held:
        for name in order:
            held.scheduler.input(name).put_many(range(3 * batch))
    assert turns.names[::batch] == order * 3
    for name in order:
        assert [payload for who, payload in turns.log if who == name] == list(range(3 * batch))


def test_a_node_that_gets_ready_again_in_its_own_turn_stands_behind_those_that_wait() -> None:
    """It feeds itself first and another node after that; its place is given out when its turn ends."""
    turns = Turns(7)

    def feed(node: Turn, msg: Message) -> None:
        if msg.payload < 3:
            node.emit("out", msg.payload + 1)

    graph = Subgraph.from_nodes("g", [Turn("feeds", turns, feed), Turn("fed", turns)])
    graph.connect("feeds:out", "feeds:in")
    graph.connect("feeds:out", "fed:in")
    graph.expose_input("feeds", "feeds:in")
    with Held(graph, max_batch_per_node=1) as held:
        held.scheduler.input("feeds").put(0)
    assert turns.names == ["feeds", "fed"] * 3 + ["feeds"]


def test_ratio_bias_prefers_control_but_services_lower_bands() -> None:
    """Each round of 8 + 1 + 1 turns has every band in it, the most urgent first."""
    turns = Turns(200)
    bands = {"control": CONTROL, "high": HIGH, "normal": NORMAL}
    graph = Subgraph.from_nodes("g", [Turn(name, turns) for name in bands])
    names = saturated(graph, turns, bands, fairness_ratio=(8, 1, 1), max_batch_per_node=1)
    assert names == (["control"] * 8 + ["high", "normal"]) * 20


@pytest.mark.parametrize(
    ("ready", "shares"),
    [
        ({"high": HIGH, "normal": NORMAL}, {"high": 2, "normal": 1}),
        ({"control": CONTROL, "normal": NORMAL}, {"control": 4, "normal": 1}),
        ({"control": CONTROL, "high": HIGH}, {"control": 4, "high": 2}),
        ({"normal": NORMAL}, {"normal": 1}),
        ({"high": HIGH}, {"high": 1}),
    ],
    ids="+".join,
)
def test_fallback_selects_any_available_band(ready: dict[str, PriorityBand], shares: dict[str, int]) -> None:
    """A band with nothing ready passes its turns on, and the others share them in the same proportion."""
    rounds = 30
    turns = Turns(rounds * sum(shares.values()))
    graph = Subgraph.from_nodes("g", [Turn(name, turns) for name in ready])
    names = saturated(graph, turns, ready, max_batch_per_node=1)
    assert Counter(names) == {name: rounds * share for name, share in shares.items()}


def test_a_band_that_was_empty_gets_no_more_than_its_share_when_it_comes_back() -> None:
    """Turns that it passed on are not saved up."""
    turns = Turns(140)
    waking = 70

    def wake(node: Turn, msg: Message) -> None:
        if msg.payload == waking:
            for number in range(100):
                node.emit("out", number)

    graph = Subgraph.from_nodes("g", [Turn("normal", turns, wake), Turn("control", turns)])
    graph.connect("normal:out", "control:in", priority=CONTROL)
    names = saturated(graph, turns, {"normal": NORMAL}, max_batch_per_node=1)
    assert "control" not in names[:waking]
    after = names[waking + 1 :]
    assert abs(Counter(after)["control"] - 0.8 * len(after)) <= 4


@pytest.mark.parametrize("batch", [1, 4, 64])
def test_bounded_skew_two_nodes_same_band(batch: int) -> None:
    """At no moment is one of two nodes ahead of the other by more than a batch."""
    turns = Turns(10 * 2 * batch)
    graph = Subgraph.from_nodes("g", [Turn("a", turns), Turn("b", turns)])
    names = saturated(graph, turns, {"a": HIGH, "b": HIGH}, max_batch_per_node=batch)
    ahead = [0]
    for name in names:
        ahead.append(ahead[-1] + (1 if name == "a" else -1))
    assert max(ahead) - min(ahead) == batch


def test_a_node_that_left_the_queue_gets_ready_at_its_end() -> None:
    """Paused and resumed: the place that it had is not kept."""
    turns = Turns(3)
    graph = Subgraph.from_nodes("g", [Turn(name, turns) for name in "abc"])
    for name in "abc":
        graph.expose_input(name, (name, "in"))
    with Held(graph) as held:
        for name in "abc":
            held.scheduler.input(name).put(name)
        held.scheduler.pause("a")
        until(lambda: held.scheduler.get_stats()["runnable_nodes"] == 3)
        held.scheduler.resume("a")
    assert turns.names == ["b", "c", "a"]


def test_several_edges_into_a_node_are_served_in_turn() -> None:
    """Within a band the inputs of a node wait first in, first out too."""
    turns = Turns(12)
    graph = Subgraph.from_nodes("g", [Turn("node", turns)])
    for name in "xyz":
        graph.expose_input(name, "node:in")
    with Held(graph) as held:
        for name in "zxy":
            held.scheduler.input(name).put_many([name] * 4)
    assert [payload for _, payload in turns.log] == ["z", "x", "y"] * 4
