"""Where dead letters would end unseen, as far as a graph shows it before it runs.

A node made of a function is handed the letters of an edge from the port that an error policy names. A class that passes
its messages on as they are sends ERROR messages on, and by these the functions behind it are not called.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from typing import TYPE_CHECKING

from graphflow.base.issues import ValidationIssue, warning
from graphflow.graph.error_policy import ErrorPolicy
from graphflow.graph.flatten import placed_nodes, placed_wires
from graphflow.graph.function_node import MadeNode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from graphflow.graph.node import Node
    from graphflow.graph.subgraph import Subgraph

# Who asks for one of these tells kinds of messages apart; what it does with each cannot be seen from here.
_KINDS = {"is_data", "is_control", "is_error", "type"}


def unseen_letters(graph: Subgraph) -> Iterator[ValidationIssue]:
    """ERROR_UNSEEN for each end at which letters would go uncounted, and the port that they come from."""
    nodes = dict(placed_nodes(graph))
    ways: dict[tuple[str, str], list[str | None]] = {}
    for placed in placed_wires(graph):
        if placed.source is not None:
            ways.setdefault((placed.source, placed.wire.edge.source_port), []).append(placed.target)
    for path, node in nodes.items():
        policy: object = node.error_policy
        port = policy.final.port if isinstance(policy, ErrorPolicy) else None
        if port is not None:
            first = [each for each in ways.get((path, port), ()) if each is not None and passes_on(nodes[each])]
            for end in _ends(nodes, ways, first):
                yield warning(
                    "ERROR_UNSEEN",
                    f"dead letters from {path}:{port} go on from {first[0]!r} as ERROR messages and end at {end!r}, "
                    f"whose function is not called with those: connect {path}:{port} to it, or emit only msg.payload",
                )


def passes_on(node: Node) -> bool:
    """True for a class whose on_message emits or yields the message itself, whatever it is."""
    if isinstance(node, MadeNode):
        return False
    try:
        function = ast.parse(textwrap.dedent(inspect.getsource(node.on_message))).body[0]
    except (OSError, TypeError, SyntaxError, ValueError, IndexError):  # no source to be had
        return False
    if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)) or len(function.args.args) < 3:
        return False
    message = function.args.args[2].arg
    steps = list(ast.walk(function))
    if any(isinstance(step, ast.Attribute) and step.attr in _KINDS for step in steps):
        return False
    return any(isinstance(sent, ast.Name) and sent.id == message for step in steps for sent in _sent(step))


def _sent(step: ast.AST) -> Sequence[ast.expr | None]:
    if isinstance(step, ast.Yield):
        return [*step.value.elts] if isinstance(step.value, ast.Tuple) else [step.value]
    if isinstance(step, ast.Call) and isinstance(step.func, ast.Attribute) and step.func.attr == "emit":
        return step.args[1:]
    return []


def _ends(nodes: dict[str, Node], ways: dict[tuple[str, str], list[str | None]], first: list[str]) -> list[str]:
    """The nodes of functions that send nothing, to which ERROR messages come from these nodes."""
    ends: list[str] = []
    seen: set[str] = set()
    waiting = list(first)
    while waiting:
        path = waiting.pop()
        node = nodes[path]
        if path in seen or not (isinstance(node, MadeNode) or passes_on(node)):
            continue
        seen.add(path)
        ports = [port.name for port in node.outputs]
        if isinstance(node, MadeNode):
            ports = [] if node.results is None else [node.results]
            if not ports:
                ends.append(path)
        waiting += [each for port in ports for each in ways.get((path, port), ()) if each is not None]
    return ends
