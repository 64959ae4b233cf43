"""Graphs as pictures: nodes in subgraphs, and arrows with labels.

`graph.picture` makes one of a graph as it is written, `snapshot.picture` of one that runs; `mermaid` and `dot` put
it into their languages.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


# Told apart with every kind of colour blindness and in print; and nothing is told by a colour alone.
BLOCKED = "#b3261e"
FILL = {
    "running": "#cfe8ff",
    "blocked": "#ffd9d6",
    "stopped": "#d9d9d9",
    "paused": "#fff3c4",
    "backing off": "#fff3c4",
}


class Box(NamedTuple):
    """A node."""

    path: str
    notes: tuple[str, ...] = ()
    state: str = ""


class Arrow(NamedTuple):
    """An edge. `source` and `target` are paths of nodes, None for an exposed port, which is named by the port."""

    source: str | None
    target: str | None
    source_port: str
    target_port: str
    notes: tuple[str, ...]
    blocked: bool = False

    def label(self) -> list[str]:
        """The ports of its nodes (an exposed port has a shape of its own), and the notes: a line each."""
        ports = [
            port
            for port, node in ((self.source_port, self.source), (self.target_port, self.target))
            if node is not None
        ]
        return [" to ".join(dict.fromkeys(ports)), ", ".join(self.notes)]


class Step(NamedTuple):
    """Of a walk through nested subgraphs: one begins, one ends, or a node."""

    what: Literal["open", "close", "box"]
    depth: int
    id: str
    name: str
    box: Box


@dataclass
class _Cluster:
    name: str
    boxes: list[tuple[str, Box]] = field(default_factory=list)
    inner: dict[str, _Cluster] = field(default_factory=dict)


@dataclass(frozen=True)
class Picture:
    """All that is to be seen. Its parts have ids, as names hold what no language allows in one."""

    title: str
    boxes: Sequence[Box]
    arrows: Sequence[Arrow]

    def walk(self) -> Iterator[Step]:
        """The nodes in the subgraphs that their paths name. No recursion: they may be nested deep."""
        nothing = Box("")
        count = 0
        waiting: list[_Cluster | Step] = list(reversed(self._clusters()))
        depth = 0
        while waiting:
            step = waiting.pop()
            if isinstance(step, _Cluster):
                yield Step("open", depth, f"{count}", step.name, nothing)
                count += 1
                depth += 1
                waiting.append(Step("close", depth - 1, "", step.name, nothing))
                waiting += reversed(step.inner.values())
                waiting += [Step("box", depth, id_, "", box) for id_, box in reversed(step.boxes)]
            else:
                depth -= step.what == "close"
                yield step

    def _clusters(self) -> list[_Cluster | Step]:
        top = _Cluster("")
        for number, box in enumerate(self.boxes):
            cluster = top
            *parents, _ = box.path.split("/")
            for name in parents:
                cluster = cluster.inner.setdefault(name, _Cluster(name))
            cluster.boxes.append((f"n{number}", box))
        return [*(Step("box", 0, id_, "", box) for id_, box in top.boxes), *top.inner.values()]

    def ports(self) -> Iterator[tuple[str, str]]:
        """Id and name of each exposed port."""
        for number, arrow in enumerate(self.arrows):
            if arrow.source is None or arrow.target is None:
                yield f"p{number}", arrow.source_port if arrow.source is None else arrow.target_port

    def ends(self) -> Iterator[tuple[str, str, Arrow]]:
        """Each arrow with the ids at its ends."""
        ids = {box.path: f"n{number}" for number, box in enumerate(self.boxes)}
        for number, arrow in enumerate(self.arrows):
            source = f"p{number}" if arrow.source is None else ids[arrow.source]
            target = f"p{number}" if arrow.target is None else ids[arrow.target]
            yield source, target, arrow
