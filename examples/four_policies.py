"""Backpressure, and the four policies side by side: what a full edge does with a newcomer.

Twelve trades come in a burst, through an edge that holds four, while the consumer is held back. Block refuses, so that
the producer waits (BLOCKED is its answer; a node that emits is answered DEFERRED, and rests). Drop discards the
newcomers, Latest the oldest, and Coalesce merges: here it adds up the shares. Nothing is lost in silence:

    offered = delivered + dropped + replaced + coalesced

    python examples/four_policies.py

prints:

    policy    offered delivered dropped replaced coalesced BLOCKED  newest shares
    Block          12        12       0        0         0       8     #12   1200
    Drop           12         4       8        0         0       0      #4    400
    Latest         12         4       0        8         0       0     #12    400
    Coalesce       12         4       0        0         8       0     #12   1200
"""

from typing import NamedTuple

from graphflow import Block, Coalesce, Drop, EdgeStats, Latest, Policy, PutResult, Scheduler, Subgraph
from graphflow.nodes import sink_node


class Trade(NamedTuple):
    """What is sent."""

    number: int
    shares: int


BURST = [Trade(number, shares=100) for number in range(1, 13)]


def merge(queued: Trade, newcomer: Trade) -> Trade:
    """What Coalesce leaves in the place of the queued trade."""
    return Trade(newcomer.number, queued.shares + newcomer.shares)


def offer_burst(policy: Policy) -> tuple[EdgeStats, int, list[Trade]]:
    """What the edge counted, how often the producer was told BLOCKED, and what the consumer got."""
    got: list[Trade] = []
    graph = Subgraph.from_nodes("trades", [sink_node(got.append, "consumer")])
    graph.expose_input("trades", "consumer:in", capacity=4, policy=policy)
    scheduler = Scheduler()
    scheduler.register(graph)
    scheduler.pause("consumer")
    with scheduler:
        inlet = scheduler.input("trades")
        refused = [trade for trade in BURST if inlet.try_put(trade) is PutResult.BLOCKED]  # ours still
        scheduler.resume("consumer")
        inlet.put_many(refused)  # waits for room: this is backpressure
    [edge] = graph.edges
    return edge.stats(), len(refused), got


def main() -> None:
    """Print a line for each policy."""
    print("policy    offered delivered dropped replaced coalesced BLOCKED  newest shares")
    for policy in (Block(), Drop(), Latest(), Coalesce(merge)):
        stats, blocked, got = offer_burst(policy)
        assert stats.offered == stats.delivered + stats.dropped + stats.replaced + stats.coalesced
        assert stats.offered == len(BURST)
        assert stats.delivered == len(got)
        counts = f"{stats.offered:>7} {stats.delivered:>9} {stats.dropped:>7} {stats.replaced:>8} {stats.coalesced:>9}"
        newest, shares = f"#{got[-1].number}", sum(trade.shares for trade in got)
        print(f"{type(policy).__name__:<9} {counts} {blocked:>7} {newest:>7} {shares:>6}")


if __name__ == "__main__":
    main()
