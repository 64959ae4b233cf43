"""Order in a directed graph of integers: its cycles, and what comes before what.

A graph is a sequence of successor lists: `successors[i]` holds the numbers that `i` points to. The
algorithms keep their own stacks, so a chain of 100,000 nodes needs no deep recursion.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_NO_GROUP = -1


def strong_groups(successors: Sequence[Sequence[int]]) -> list[list[int]]:
    """The strongly connected groups, each before the groups that it points to (Kosaraju).

    A node that lies on no cycle is a group of its own; members are in ascending order.
    """
    predecessors: list[list[int]] = [[] for _ in successors]
    for node, following in enumerate(successors):
        for after in following:
            predecessors[after].append(node)

    grouped = [False] * len(successors)
    groups: list[list[int]] = []
    for root in reversed(_finish_order(successors)):
        if grouped[root]:
            continue
        grouped[root] = True
        members = [root]
        for member in members:  # grows while it is read
            for before in predecessors[member]:
                if not grouped[before]:
                    grouped[before] = True
                    members.append(before)
        groups.append(sorted(members))
    return groups


def _finish_order(successors: Sequence[Sequence[int]]) -> list[int]:
    """The nodes in the order in which a depth-first search is done with them."""
    seen = [False] * len(successors)
    finished: list[int] = []
    for root in range(len(successors)):
        if seen[root]:
            continue
        seen[root] = True
        path = [(root, iter(successors[root]))]
        while path:
            node, following = path[-1]
            after = next((each for each in following if not seen[each]), None)
            if after is None:
                path.pop()
                finished.append(node)
            else:
                seen[after] = True
                path.append((after, iter(successors[after])))
    return finished


def topological_groups(successors: Sequence[Sequence[int]]) -> list[list[int]]:
    """The strongly connected groups in topological order, smaller numbers first where it is free.

    So nodes numbered as they were inserted keep that order wherever no edge says otherwise.
    """
    groups = strong_groups(successors)
    group_of = [_NO_GROUP] * len(successors)
    for number, members in enumerate(groups):
        for member in members:
            group_of[member] = number

    waits_for = [0] * len(groups)  # edges from other groups that are not placed yet
    for node, following in enumerate(successors):
        for after in following:
            waits_for[group_of[after]] += group_of[after] != group_of[node]

    # Groups that may come next, by their smallest member.
    free = [groups[number][0] for number, count in enumerate(waits_for) if count == 0]
    heapq.heapify(free)
    placed: list[list[int]] = []
    while free:
        number = group_of[heapq.heappop(free)]
        placed.append(groups[number])
        for node in groups[number]:
            for after in successors[node]:
                other = group_of[after]
                if other == number:
                    continue
                waits_for[other] -= 1
                if waits_for[other] == 0:
                    heapq.heappush(free, groups[other][0])
    return placed
