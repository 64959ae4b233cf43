"""get_stats(): the short form of how a graph is."""

from __future__ import annotations

from graphs import Collect, Remote, Source, chain, run_graph, scheduler_of, until

from graphflow import Message, MessageType


def test_stats_say_how_the_graph_is() -> None:
    remote, consumer = Remote(), Collect()
    graph = chain(remote, consumer, capacity=1)
    graph.expose_input("remote", "remote:calls")
    scheduler = scheduler_of(graph)
    assert scheduler.get_stats()["status"] == "new"
    scheduler.pause(consumer)
    with scheduler:
        remote.emit_there(scheduler, 1)
        remote.emit_there(scheduler, 2)
        until(lambda: scheduler.get_stats()["blocked_nodes"] == 1)
        stats = scheduler.get_stats()
        assert (stats["status"], stats["nodes_count"], stats["edges_count"]) == ("running", 2, 2)
        assert stats["runnable_nodes"] == 0
        assert stats["edges"]["remote:out->collect:in"]["depth"] == 1
        scheduler.shutdown()
    assert scheduler.get_stats()["status"] == "stopped"
    assert scheduler.get_stats()["blocked_nodes"] == 0


def test_a_message_of_any_kind_keeps_the_short_form_short() -> None:
    graph = chain(Source("a", [Message(MessageType.DATA, 1)]), Collect("b"))
    run_graph(graph)
    scheduler = scheduler_of(chain(Source("a", range(3)), Collect("b")))
    scheduler.run()
    stats = scheduler.get_stats()
    assert {"status", "nodes_count", "edges_count", "runnable_nodes", "blocked_nodes"} <= stats.keys()
    assert set(stats["edges"]["a:out->b:in"]) == {"depth", "peak_depth", "capacity", "offered", "delivered"}
