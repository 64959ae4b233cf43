"""Pictures in Mermaid, which code hosts and wikis draw."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphflow.draw.picture import BLOCKED, FILL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graphflow.draw.picture import Picture


def write_mermaid(picture: Picture) -> str:
    """The picture as a flowchart, an edge or node a line."""
    return "\n".join(_lines(picture)) + "\n"


def _lines(picture: Picture) -> Iterator[str]:
    yield "flowchart LR"
    yield f"  %% {_plain(picture.title)}"
    yield from _nodes(picture)
    for port, name in picture.ports():
        yield f"  {port}([{_quoted(name)}])"
    blocked = []
    for number, (source, target, arrow) in enumerate(picture.ends()):
        line = "==>" if arrow.blocked else "-->"
        yield f"  {source} {line}|{_quoted(*arrow.label())}| {target}"
        if arrow.blocked:
            blocked.append(str(number))
    if blocked:
        yield f"  linkStyle {','.join(blocked)} stroke:{BLOCKED},color:{BLOCKED},stroke-width:4px"
    yield from _states(picture)


def _nodes(picture: Picture) -> Iterator[str]:
    for step in picture.walk():
        indent = "  " * (step.depth + 1)
        if step.what == "open":
            yield f"{indent}subgraph c{step.id} [{_quoted(step.name)}]"
        elif step.what == "close":
            yield f"{indent}end"
        else:
            yield f"{indent}{step.id}[{_quoted(step.box.path.rpartition('/')[2], *step.box.notes)}]"


def _states(picture: Picture) -> Iterator[str]:
    for number, (state, colour) in enumerate(FILL.items()):
        here = [f"n{place}" for place, box in enumerate(picture.boxes) if box.state == state]
        if here:
            yield f"  classDef s{number} fill:{colour}"
            yield f"  class {','.join(here)} s{number}"


def _quoted(*texts: str) -> str:
    return '"' + "<br/>".join(map(_plain, texts)) + '"'


def _plain(text: str) -> str:
    """Text without meaning: whatever could end a label or be taken for markup is written as its code."""
    kept = " _-.,/+():"
    return "".join(each if each.isalnum() or each in kept else f"#{ord(each)};" for each in " ".join(text.splitlines()))
