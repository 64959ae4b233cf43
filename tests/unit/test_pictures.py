"""Pictures of graphs: what they show, that any name can stand in them, and that what is blocked cannot be missed."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from graphs import DEADLINE_S, Collect, Gate, Map, Remote, Source, chain, scheduler_of, until

from graphflow import Drop, PriorityBand, Scheduler, Subgraph

ODD = [
    'quo"te',
    "back\\slash",
    "trailing\\",
    "new\nline",
    "<b>bold<br>",
    "ünïcode",
    "end",
    "#35;",
    "a|b",
    "{x}[y](z)",
    "%%",
]


def nested() -> Subgraph:
    inner = Subgraph.from_nodes("inner", [Map("x"), Map("y")])
    inner.connect("x:out", "y:in", capacity=3)
    inner.expose_input("in", "x:in")
    inner.expose_output("out", "y:out")
    graph = Subgraph.from_nodes("outer", [Source("a", [1]), Collect("b")])
    graph.add_subgraph(inner)
    graph.connect("a:out", "inner:in", policy=Drop(), max_bytes=100, sizeof=len)
    graph.connect("inner:out", "b:in", priority=PriorityBand.HIGH)
    return graph


def test_mermaid_of_a_nested_graph() -> None:
    assert (
        nested().to_mermaid()
        == """\
flowchart LR
  %% outer
  n0["a"]
  n1["b"]
  subgraph c0 ["inner"]
    n2["x"]
    n3["y"]
  end
  n0 -->|"out to in<br/>capacity 1024, 100 bytes, Drop"| n2
  n3 -->|"out to in<br/>capacity 1024, HIGH"| n1
  n2 -->|"out to in<br/>capacity 3"| n3
"""
    )


def test_dot_of_a_nested_graph() -> None:
    assert (
        nested().to_dot()
        == """\
digraph {
  label="outer"; labelloc=t; rankdir=LR;
  node [shape=box, style="rounded,filled", fillcolor="white", fontname="sans-serif"];
  edge [fontname="sans-serif", fontsize=10];
  n0 [label="a"];
  n1 [label="b"];
  subgraph cluster_0 {
    label="inner";
    n2 [label="x"];
    n3 [label="y"];
  }
  n0 -> n2 [label="out to in\\ncapacity 1024, 100 bytes, Drop"];
  n3 -> n1 [label="out to in\\ncapacity 1024, HIGH"];
  n2 -> n3 [label="out to in\\ncapacity 3"];
}
"""
    )


def test_exposed_ports_have_a_shape_of_their_own() -> None:
    graph = Subgraph.from_nodes("g", [Map("m")])
    graph.expose_input("entrance", "m:in")
    graph.expose_output("exit", "m:out")
    assert '  p0(["entrance"])\n  p1(["exit"])\n  p0 -->|"in<br/>capacity 1024"| n0\n' in graph.to_mermaid()
    assert '  p1 [label="exit", shape=cds];' in graph.to_dot()


def test_several_levels_close_in_the_right_order() -> None:
    graph = Subgraph.from_nodes("deepest", [Map("m")])
    for level in range(3):
        outer = Subgraph.from_nodes(f"level{level}", [Map(f"beside{level}")])
        outer.add_subgraph(graph)
        graph = outer
    lines = [line.strip().split(" [")[0] for line in graph.to_mermaid().splitlines()[2:]]
    assert lines[:3] == ['n0["beside2"]', "subgraph c0", 'n1["beside1"]']
    assert lines[3:] == ["subgraph c1", 'n2["beside0"]', "subgraph c2", 'n3["m"]', "end", "end", "end"]
    assert graph.to_dot().count("{") == graph.to_dot().count("}") == 4


def test_a_graph_nested_a_thousand_deep_can_be_drawn() -> None:
    graph = Subgraph.from_nodes("g", [Map("m")])
    for level in range(1200):
        outer = Subgraph(f"level{level}")
        outer.add_subgraph(graph)
        graph = outer
    assert graph.to_mermaid().count("subgraph") == graph.to_mermaid().count("end\n") == 1200


def dot_strings(text: str) -> list[str]:
    """The quoted strings, read as Graphviz does; nothing of a quote may be left outside of them."""
    strings = re.findall(r'"((?:[^"\\]|\\.)*)"', text)
    assert '"' not in re.sub(r'"(?:[^"\\]|\\.)*"', "", text)
    return [re.sub(r"\\(.)", r"\1", string) for string in strings]


@pytest.mark.parametrize("odd", ODD)
def test_any_name_can_stand_in_dot(odd: str) -> None:
    graph = Subgraph.from_nodes(odd, [Map(odd)])
    assert " ".join(odd.splitlines()) in dot_strings(graph.to_dot())
    assert len(dot_strings(graph.to_dot())) == 6


@pytest.mark.parametrize("odd", ODD)
def test_any_name_can_stand_in_mermaid(odd: str) -> None:
    graph = Subgraph.from_nodes(odd, [Map(odd)])
    title, node = graph.to_mermaid().splitlines()[1:]
    label = re.fullmatch(r'  n0\["([^"<>|\[\]{}%]*)"\]', node)
    assert label is not None, node
    plain = " ".join(odd.splitlines())
    assert re.sub(r"#(\d+);", lambda code: chr(int(code[1])), label[1]) == plain
    assert title == f"  %% {label[1]}"


def test_two_thousand_nodes_are_drawn_in_no_time() -> None:
    graph = chain(*(Map(f"m{number}") for number in range(2000)))
    began = time.perf_counter()
    assert graph.to_mermaid().count("-->") == graph.to_dot().count("->") == 1999
    assert time.perf_counter() - began < DEADLINE_S


# ---------------------------------------------------------------------------------------- as it runs


def stuck(**options: Any) -> tuple[Gate, Remote, Scheduler]:
    gate, remote = Gate(), Remote()
    graph = Subgraph.from_nodes("g", [remote, gate])
    graph.connect("remote:out", "gate:in", capacity=2, **options)
    graph.expose_input("remote", "remote:calls")
    return gate, remote, scheduler_of(graph)


def arrows(text: str) -> dict[str, str]:
    """Lines of a Mermaid picture that are arrows, by their ends."""
    found = re.findall(r'^  (\w+) (-->|==>)\|"(.*)"\| (\w+)$', text, re.MULTILINE)
    return {f"{source}{target}": f"{line} {label}" for source, line, label, target in found}


def test_a_live_picture_shows_depth_rate_band_and_state() -> None:
    gate, remote, scheduler = stuck(priority=PriorityBand.CONTROL)
    with scheduler:
        for number in range(2):
            remote.emit_there(scheduler, number)
        assert gate.entered.wait(DEADLINE_S)
        until(lambda: scheduler.snapshot().nodes["remote"].state == "idle")
        text = scheduler.to_mermaid()
        gate.opened.set()
    assert "%% g: running" in text
    assert re.search(r"--> out to in<br/>1/2, [\d.]+k?/s, CONTROL", arrows(text)["n0n1"])
    assert 'n1["gate<br/>running"]' in text
    assert "class n1 s0" in text


def test_a_blocked_edge_is_thick_and_red_and_says_so() -> None:
    gate, remote, scheduler = stuck()
    with scheduler:
        for number in range(4):
            remote.emit_there(scheduler, number)
        until(lambda: scheduler.snapshot().nodes["remote"].state == "blocked")
        mermaid, dot = scheduler.to_mermaid(), scheduler.to_dot()
        gate.opened.set()
        gate.expect(4)
        until(lambda: scheduler.snapshot().nodes["remote"].state == "idle")
        after = scheduler.to_mermaid()
    number = list(arrows(mermaid)).index("n0n1")
    assert arrows(mermaid)["n0n1"].startswith("==> ")
    assert arrows(mermaid)["n0n1"].endswith("1 deferred, BLOCKED")
    assert f"linkStyle {number} stroke:#b3261e" in mermaid
    (line,) = (line for line in dot.splitlines() if "BLOCKED" in line)
    assert 'color="#b3261e"' in line
    assert "penwidth=4" in line
    assert "style=dashed" in line
    assert "BLOCKED" not in after
    assert "linkStyle" not in after


def test_rates_are_those_since_a_snapshot() -> None:
    graph = chain(Source("a", range(1000)), Collect("b"))
    scheduler = scheduler_of(graph)
    scheduler.run()
    total = re.search(r"1024, ([\d.]+)(k?)/s", scheduler.to_mermaid())
    assert total is not None
    assert float(total[1]) > 0
    assert "0/1024, 0/s" in scheduler.to_mermaid(since=scheduler.snapshot())
    assert "0/1024, 0/s" in scheduler.to_dot(since=scheduler.snapshot())


def test_errors_are_shown_at_their_node() -> None:
    def fail(value: object) -> None:
        raise ValueError

    scheduler = scheduler_of(chain(Source("a", range(3)), Map("b", fail), Collect("c")))
    scheduler.run()
    assert 'n1["b<br/>idle<br/>3 errors"]' in scheduler.to_mermaid()


def test_before_a_run_and_without_a_graph_there_is_a_picture_too() -> None:
    assert "0/2, 0/s" in stuck()[2].to_mermaid()
    assert Scheduler().to_mermaid() == "flowchart LR\n  %% graphflow: new\n"
    assert Scheduler().to_dot().endswith("}\n")
