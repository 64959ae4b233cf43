"""Things that calls change, for fuzzing: edges, graphs, schedulers and the ends of a running graph."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from fuzzed import Fresh, Target, World
from fuzzed_makers import BOUNDS
from fuzzed_makers import WORLDS as MAKERS
from graphs import Map, Remote, Source, chain, scheduler_of, until

from graphflow import Coalesce, Edge, Node, PortSpec, PriorityBand, Scheduler, Subgraph

if TYPE_CHECKING:
    from collections.abc import Coroutine

FULL = 3  # items that an edge begins with, so that no get waits; and there is room, so that no put does
EDGES: dict[str, dict[str, Any]] = {
    "plain edge": {},
    "typed edge": {"spec": PortSpec("in", str)},
    "edge with ttl": {"ttl_s": 3600},
    "edge of bytes": {"max_bytes": 10**9},
    "measured edge": {"sizeof": lambda payload: payload if isinstance(payload, (float, list)) else 1},
    "keyed edge": {"default_policy": Coalesce(lambda old, new: new, key=lambda payload: payload)},
    "merging edge": {"default_policy": Coalesce(lambda old, new: new)},
}


def of_edge(edge: Edge) -> Any:
    return edge.id, edge.capacity, edge.max_bytes, edge.control_capacity, edge.closed, edge.stats()


def edge_world(**bounds: Any) -> World:
    edge: Edge = Edge("a", "out", "b", "in", 9)

    def renew() -> bool:
        nonlocal edge
        edge = Edge("a", "out", "b", "in", 9, **bounds)
        edge.put_many(list("xyz")[:FULL])
        return True

    renew()

    def targets() -> Iterator[Target]:
        yield Target("try_put", edge.try_put, {"item": "x", "policy": None})
        yield Target("put", edge.put, {"item": "x", "timeout": 0})
        # An endless iterable of items is right, and put until there is no room.
        yield Target("put_many", edge.put_many, {"items": ["x"], "timeout": 0})
        yield Target("put_many of", lambda value: edge.put_many(["x", value], 0), {"value": "x"})
        yield Target("get", edge.get, {"timeout": 0})
        yield Target("get_many", edge.get_many, {"max": 2, "timeout": 0})
        yield Target("set_capacity", edge.set_capacity, {"capacity": 5})

    return World(targets, lambda: of_edge(edge), renew)


def of_graph(graph: Subgraph) -> Any:
    return (
        list(graph.members.items()),
        list(graph._name_of_node.items()),
        [(of_edge(wire.edge), wire.options.band, wire.options.policy) for wire in graph.connections],
        [(wire.exposed, of_edge(wire.edge)) for wire in graph.exposures],
        [*graph.exposed_inputs.items(), *graph.exposed_outputs.items()],
        [str(issue) for issue in graph.validate()],
        [(edge.id, edge.default_policy) for edge in graph.edges],
    )


def graph_world() -> World:
    graph = Subgraph("g")

    def renew() -> bool:
        nonlocal graph
        graph = Subgraph.from_nodes("g", [Map("a"), Map("b"), Map("c")])
        inner = Subgraph.from_nodes("inner", [Map("d")])
        inner.expose_input("in", "d:in")
        graph.add_subgraph(inner)
        graph.connect("a:out", "b:in")
        graph.expose_input("first", "a:in")
        return True

    renew()
    options = {"capacity": 9, "policy": None, "priority": None, **BOUNDS}

    def targets() -> Iterator[Target]:
        yield Target("add_node", graph.add_node, {"node": Fresh(lambda: Map("new")), "name": "name"})
        yield Target("add_subgraph", graph.add_subgraph, {"sub": Fresh(lambda: Subgraph("new")), "name": "name"})
        yield Target("connect", graph.connect, {"src": "b:out", "dst": "c:in", **options}, named=tuple(BOUNDS))
        yield Target("connect pair", lambda value: graph.connect(("b", "out"), ("c", value)), {"value": "in"})
        yield Target("connect nested", lambda value: graph.connect("b:out", ("inner", value)), {"value": "in"})
        for call, port in ((graph.expose_input, "c:in"), (graph.expose_output, "c:out")):
            good = {"name": "more", "port": port, **options}
            yield Target(call.__name__, call, good, named=tuple(options))
        yield Target("inputs_of", graph.inputs_of, {"node": "a"})

    return World(targets, lambda: of_graph(graph), renew)


def of_scheduler(scheduler: Scheduler) -> Any:
    stats, kept = scheduler.get_stats(), scheduler._registry
    return (
        scheduler.is_running(),
        scheduler.items,
        [stats[name] for name in ("status", "nodes_count", "edges_count")],
        [edge["offered"] for edge in stats["edges"].values()],
        [(edge_id, edge["capacity"]) for edge_id, edge in stats["edges"].items()],
        # Kept for the next run, and to be seen nowhere before it.
        [dict(kept.bands), dict(kept.capacities), set(kept.paused), scheduler._latched],
        [(edge.id, edge.band) for edge in scheduler.snapshot().edges.values()],
        [node.state == "paused" for node in scheduler.snapshot().nodes.values()],
    )


class SchedulerWorld:
    """A scheduler that has a graph which ends by itself, or which runs; `close()` stops it."""

    def __init__(self, running: bool) -> None:
        self.running = running
        self.loop = asyncio.new_event_loop()
        self.scheduler = Scheduler()
        self.settings: Any = None
        self.renew()

    def run(self, act: Callable[[World], list[str]]) -> list[str]:
        return act(World(self.targets, lambda: of_scheduler(self.scheduler), self.renew))

    def close(self) -> None:
        self.scheduler.shutdown(drain=False)
        self.loop.close()

    def renew(self) -> bool:
        if self.running and self.scheduler.is_running() and of_scheduler(self.scheduler)[4:] == self.settings:
            self.scheduler.output("out").edge.put_many("xyz"[: FULL - self.scheduler.output("out").edge.depth()])
            return False
        self.scheduler.shutdown(drain=False)
        graph = chain(Source("source", range(3)), Map("b"), Map("last"))
        if self.running:
            graph.add_node(Map("slow"))
            graph.expose_input("in", "slow:in", capacity=10**6)
            graph.expose_output("out", "slow:out", capacity=9)
        self.scheduler = scheduler_of(graph, workers=1)
        if self.running:
            self.scheduler.pause("slow")  # so that what is put stays, and only calls change what is seen
            self.scheduler.start()
            self.scheduler.output("out").edge.put_many("xyz")
            until(lambda: self.scheduler.get_stats()["nodes"]["last"]["handled"] == 3)
            self.settings = of_scheduler(self.scheduler)[4:]
        return True

    def targets(self) -> Iterator[Target]:
        scheduler = self.scheduler
        edge = "source:out->b:in"
        yield Target("register", scheduler.register, {"item": Fresh(lambda: Node("other", "in", "out"))})
        yield Target("input", scheduler.input, {"name": "in"})
        yield Target("output", scheduler.output, {"name": "out"})
        yield Target("set_priority", scheduler.set_priority, {"edge_id": edge, "band": PriorityBand.HIGH})
        yield Target("set_capacity", scheduler.set_capacity, {"edge_id": edge, "capacity": 5})
        yield Target("pause", scheduler.pause, {"node": "b"})
        yield Target("resume", scheduler.resume, {"node": "b"})
        yield Target("shutdown", scheduler.shutdown, {"drain": True, "timeout": 1})
        yield Target("ashutdown", self.awaiting(scheduler.ashutdown), {"drain": True, "timeout": 1})
        yield Target("to_mermaid", scheduler.to_mermaid, {"since": None})
        yield Target("to_dot", scheduler.to_dot, {"since": None})
        if self.running:
            yield from self.ends()
        else:
            yield Target("run", scheduler.run, {"signals": ()})
            yield Target("wait", scheduler.wait, {"timeout": 0})

    def ends(self) -> Iterator[Target]:
        into, out = self.scheduler.input("in"), self.scheduler.output("out")
        yield Target("input.put", into.put, {"item": "x", "timeout": 0})
        yield Target("input.try_put", into.try_put, {"item": "x"})
        yield Target("input.put_many", into.put_many, {"items": ["x"], "timeout": 0})
        yield Target("input.aput", self.awaiting(into.aput), {"item": "x", "timeout": 0})
        yield Target("output.get", out.get, {"timeout": 0})
        yield Target("output.aget", self.awaiting(out.aget), {"timeout": 0})
        yield Target("output.get_many", out.get_many, {"max": 2, "timeout": 0})

    def awaiting(self, call: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
        return lambda *args, **named: self.loop.run_until_complete(call(*args, **named))


class EmitWorld:
    """The emits of a node, made inside its own hook; what it sends stays in an output that nobody reads."""

    def __init__(self) -> None:
        self.remote = Remote()
        graph = Subgraph.from_nodes("g", [self.remote])
        graph.expose_input("remote", "remote:calls")
        graph.expose_output("out", "remote:out", capacity=10**6)
        self.scheduler = scheduler_of(graph, workers=1)
        self.scheduler.start()

    def run(self, act: Callable[[World], list[str]]) -> list[str]:
        edge = self.scheduler.output("out").edge
        emit = Target("emit", self.remote.emit, {"port": "out", "value": "x"})
        result: list[str] = self.remote.call(self.scheduler, lambda: act(World(lambda: [emit], lambda: of_edge(edge))))
        return result

    def close(self) -> None:
        self.scheduler.shutdown(drain=False)


class StillWorld:
    """One of the worlds without threads."""

    def __init__(self, world: World) -> None:
        self.world = world

    def run(self, act: Callable[[World], list[str]]) -> list[str]:
        return act(self.world)

    def close(self) -> None:
        """Nothing to end."""


WORLDS: dict[str, Callable[[], StillWorld | SchedulerWorld | EmitWorld]] = {
    **{name: lambda world=world: StillWorld(world) for name, world in MAKERS.items()},  # type: ignore[misc]
    **{name: lambda bounds=bounds: StillWorld(edge_world(**bounds)) for name, bounds in EDGES.items()},  # type: ignore[misc]
    "graph": lambda: StillWorld(graph_world()),
    "new scheduler": lambda: SchedulerWorld(running=False),
    "running scheduler": lambda: SchedulerWorld(running=True),
    "emit": EmitWorld,
}
