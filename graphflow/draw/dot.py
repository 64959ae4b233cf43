"""Pictures in DOT, the language of Graphviz."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphflow.draw.picture import BLOCKED, FILL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graphflow.draw.picture import Picture


def write_dot(picture: Picture) -> str:
    """The picture as a digraph, an edge or node a line."""
    return "\n".join(_lines(picture)) + "\n"


def _lines(picture: Picture) -> Iterator[str]:
    yield "digraph {"
    yield f"  label={_quoted(picture.title)}; labelloc=t; rankdir=LR;"
    yield '  node [shape=box, style="rounded,filled", fillcolor="white", fontname="sans-serif"];'
    yield '  edge [fontname="sans-serif", fontsize=10];'
    yield from _nodes(picture)
    for port, name in picture.ports():
        yield f"  {port} [label={_quoted(name)}, shape=cds];"
    for source, target, arrow in picture.ends():
        look = f', color="{BLOCKED}", fontcolor="{BLOCKED}", penwidth=4, style=dashed' if arrow.blocked else ""
        yield f"  {source} -> {target} [label={_quoted(*arrow.label())}{look}];"
    yield "}"


def _nodes(picture: Picture) -> Iterator[str]:
    for step in picture.walk():
        indent = "  " * (step.depth + 1)
        if step.what == "open":
            yield f"{indent}subgraph cluster_{step.id} {{"
            yield f"{indent}  label={_quoted(step.name)};"
        elif step.what == "close":
            yield f"{indent}}}"
        else:
            look = f', fillcolor="{FILL[step.box.state]}"' if step.box.state in FILL else ""
            name = step.box.path.rpartition("/")[2]
            yield f"{indent}{step.id} [label={_quoted(name, *step.box.notes)}{look}];"


def _quoted(*texts: str) -> str:
    r"""A string, a line for each text. A backslash begins an escape in it, so one that is meant is doubled."""
    escaped = (" ".join(text.splitlines()).replace("\\", "\\\\").replace('"', '\\"') for text in texts)
    return '"' + "\\n".join(escaped) + '"'
