"""A kill switch: a CONTROL message overtakes everything that is queued, and the node stops at its next message.

A thousand orders flood a trader, who is busy with the third when somebody pulls the switch. Control is never dropped,
and needs no room among the data.

    python examples/kill_switch.py

prints:

    queued ahead of the switch: 997 orders
    traded before it: 3
    traded after it: 0
    refused after it: 997
"""

import threading

from graphflow import Message, MessageType, Node, Scheduler, Subgraph

ORDERS = 1000


class Trader(Node):
    """Trades each order, until it is told to stop."""

    inputs = "orders"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.traded = self.refused = 0
        self.killed = False
        self.busy, self.answered = threading.Event(), threading.Event()

    def on_message(self, port: str, msg: Message) -> None:
        """One message at a time: what it handles when the switch is pulled, it handles to the end."""
        if msg.is_control():
            self.killed = True
        elif self.killed:
            self.refused += 1
        else:
            self.traded += 1
            if self.traded == 3:  # the exchange takes its time to answer
                self.busy.set()
                self.answered.wait()


def main() -> None:
    """Flood the trader, pull the switch, and count."""
    trader = Trader("trader")
    graph = Subgraph.from_nodes("trading", [trader])
    graph.expose_input("orders", "trader:orders", capacity=ORDERS)
    [edge] = graph.edges
    scheduler = Scheduler()
    scheduler.register(graph)
    with scheduler:
        orders = scheduler.input("orders")
        orders.put_many(range(ORDERS))
        trader.busy.wait()
        ahead, before = edge.depth(), trader.traded
        orders.put(Message(MessageType.CONTROL, "kill"))
        trader.answered.set()
    print(f"queued ahead of the switch: {ahead} orders")
    print(f"traded before it: {before}")
    print(f"traded after it: {trader.traded - before}")
    print(f"refused after it: {trader.refused}")


if __name__ == "__main__":
    main()
