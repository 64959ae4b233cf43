"""What is registered with a scheduler: its graphs laid out, its edges and nodes by name, and what is kept for a run."""

from __future__ import annotations

import difflib
import logging
from typing import TYPE_CHECKING, Literal

from graphflow.base.errors import GraphValidationError, UnknownEdgeError
from graphflow.base.events import say
from graphflow.base.issues import error, nearest
from graphflow.graph.node import Node
from graphflow.graph.plan import Plan, check, check_handlers, check_outboxes, nodes_of, plan
from graphflow.graph.validation.node_settings import check_dead_letter_port

if TYPE_CHECKING:
    from graphflow.core.edges.edge import Edge
    from graphflow.core.engine.engine import Engine
    from graphflow.graph.priority import PriorityBand
    from graphflow.graph.subgraph import Subgraph
    from graphflow.runtime.config import SchedulerConfig

log: logging.Logger = logging.getLogger("graphflow.scheduler")


class Registry:
    """The graphs and nodes of a scheduler, and the settings that each of its runs begins with.

    It holds no lock: the scheduler's is held where items are added and laid out.
    """

    def __init__(self) -> None:
        self.items: list[Subgraph | Node] = []
        self.plan: Plan = plan([])
        self.bands: dict[str, PriorityBand] = {}  # by edge id
        self.capacities: dict[str, int] = {}  # by edge id, until a run begins
        self.paused: set[str] = set()  # paths of nodes

    def add(self, item: Subgraph | Node, config: SchedulerConfig) -> None:
        """Take one more item; logs warnings, and raises GraphValidationError with all errors."""
        _check_all([*self.items, item], config)
        for issue in [*check([item]), *check_handlers([item]), *check_outboxes([item], config.outbox_limit)]:
            say(log, "graph_warning", "%s", issue, code=issue.code, graph=config.name or item.name)
        self.plan = plan([*self.items, item])
        self.items.append(item)

    def lay_out(self, config: SchedulerConfig) -> Plan:
        """The plan of a run that begins now, with the capacities that were asked for.

        Raises GraphValidationError, UnknownEdgeError for a setting whose edge does not exist.
        """
        _check_all(self.items, config)
        self.plan = plan(self.items)
        resized = [(self.edge(edge_id), capacity) for edge_id, capacity in self.capacities.items()]
        for edge_id in self.bands:
            self.edge(edge_id)
        for edge, capacity in resized:  # only now: an unknown edge is to change nothing
            edge.set_capacity(capacity)
        self.capacities.clear()  # the edges have them now, and what the edges are told later counts
        return self.plan

    def prepare(self, engine: Engine) -> None:
        """Give a new run of that plan its bands and pauses."""
        for edge_id, band in self.bands.items():
            engine.set_band(edge_id, band)
        for path in self.paused:
            engine.set_paused(self.index(path), True)

    def keep_paused(self, path: str, paused: bool) -> None:
        """Let the runs to come begin with that node paused, or no longer."""
        (self.paused.add if paused else self.paused.discard)(path)

    def exposed(self, name: str, side: Literal["input", "output"]) -> Edge:
        """The edge of an exposed input or output; UnknownEdgeError if there is none."""
        found = {
            link.exposed: link.edge
            for link in self.plan.links
            if link.exposed is not None and (link.source if side == "input" else link.target) is None
        }
        if not isinstance(name, str) or name not in found:
            raise UnknownEdgeError(f"no exposed {side} is called {name!r}: {nearest(str(name), found)}")
        return found[name]

    def edge(self, edge_id: str) -> Edge:
        """The edge of that id; UnknownEdgeError if there is none."""
        edges = {link.edge.id: link.edge for link in self.plan.links}
        if edge_id not in edges:
            close = difflib.get_close_matches(str(edge_id), list(edges), n=3)
            raise UnknownEdgeError(
                f"no edge has the id {edge_id!r}"
                + (f"; did you mean {' or '.join(map(repr, close))}?" if close else "; ids look like 'a:out->b:in'")
            )
        return edges[edge_id]

    def paths(self, node: str | Node | None) -> list[str]:
        """The path of a node, which need not exist; of None, those of all sources."""
        if node is None:
            return [placed.path for placed in self.plan.nodes if callable(getattr(placed.node, "produce", None))]
        if isinstance(node, str):
            return [str.__str__(node)]  # a plain one, also of a StrEnum
        return [next((placed.path for placed in self.plan.nodes if placed.node is node), repr(node))]

    def index(self, path: str) -> int:
        """Where the node of that path stands in the plan; GraphValidationError if there is none."""
        paths = [placed.path for placed in self.plan.nodes]
        if path not in paths:
            raise GraphValidationError([error("UNKNOWN_NODE", f"no node is called {path!r}: {nearest(path, paths)}")])
        return paths.index(path)


def _check_all(items: list[Subgraph | Node], config: SchedulerConfig) -> None:
    """Raise GraphValidationError with all errors of what is or is to be registered."""
    errors = [issue for issue in check(items) if issue.level == "error"]
    if not errors:  # else a node may lack what is looked at here
        for path, node in [placed for item in items for placed in nodes_of(item)]:
            if node.error_policy is None:
                errors += check_dead_letter_port(path, node, config.error_policy)
    if errors:
        raise GraphValidationError(errors)
