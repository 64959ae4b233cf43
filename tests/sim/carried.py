"""Whose context a hook runs in: each hook leaves a mark there, and notes the one that it finds.

A node finds what it left itself, and where context is carried along (`carry_context`) what was left by whoever put or
emitted the message: the last one on its way at whom it was asked for, or its first sender.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from members import Member, Route
    from world import World

MARK: ContextVar[Route] = ContextVar("mark", default=())


def check_contexts(world: World) -> None:
    """Every hook has found the mark that it should."""
    for node in world.members.values():
        own: Route = ()
        for route, found in node.found:
            if not asked(world, route, node):
                expected = () if node.max_concurrency > 1 else own
                own = left_by(node, route) or own
            else:
                expected = brought(world, route, node.name)
            assert found == expected, (
                f"{node.name} was given {route} in a context that {found or 'nobody'} had left a mark in, "
                f"and it was to be that of {expected or 'nobody'}"
            )


def asked(world: World, route: Route, node: Member) -> bool:
    """Is this message, or the tick that this stands for, handled in a context that it brings?"""
    return len(route) > 1 and world.carries[came_from(route), node.name]


def left_by(node: Member, route: Route) -> Route:
    """The mark that a node leaves where it handles a message; compiled steps leave none."""
    return () if node.kind in ("step", "flat step") else (node.name, *route[:2])


def brought(world: World, route: Route, target: str) -> Route | None:
    """The mark in the context that a message brings to a member; None where it brings none."""
    asks = world.carries[came_from(route), target]
    if len(route) == 2:
        name, number = route
        mark = (name, None) if name in world.at_once else (name, number)
        return mark if asks else None
    source = world.members[route[-1]]
    before = sent_for(route, source)
    context = None if len(before) == 1 else brought(world, before, source.name)
    inside = asked(world, before, source)
    if not asks or (context is not None and not inside):
        return context
    return left_by(source, before) or (context if inside and context else ())


def sent_for(route: Route, source: Member) -> Route:
    """What the member that sent a message had been given; of a tick, or the drain, only its name and number."""
    origin, number, *passed = route
    if origin in ("tick", "drain") and len(passed) == 1:
        return ((origin, number),)
    return (origin, number // source.width, *passed[:-1])


def came_from(route: Route) -> str:
    """The node or thread that sent a payload on its last leg."""
    return str(route[-1] if len(route) > 2 else route[0])
