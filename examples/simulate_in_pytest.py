"""A graph of your own in pytest: every interleaving of its threads is a seed's, so a race is found, and found again.

`Numbering` gives each invoice the next number. `Racy` lets two workers do so at once, which goes wrong once in a while:
the second test sees that the simulation finds it. Where graphflow is installed, its pytest fixture `graphflow_simulate`
draws other seeds in each run.

    pytest examples/simulate_in_pytest.py
    python examples/simulate_in_pytest.py

The second prints:

    20 seeds: every invoice has a number of its own
    Racy fails with seed ...: check: the numbers are [...]
    again: GRAPHFLOW_SIMULATE_SEED=...simulate_in_pytest...
"""

import pytest

from graphflow import Message, Node, Scheduler, Subgraph
from graphflow.testing import SimulationFailed, simulate, sleep

INVOICES = 4


class Numbering(Node):
    """Numbers what comes: no lock is needed, as one worker at a time runs a node."""

    inputs, outputs = "in", "out"
    last = 0

    def on_message(self, port: str, msg: Message) -> None:
        """Send the next number."""
        number = self.last + 1
        sleep(0.0005)  # a look-up; the time is virtual
        self.last = number
        self.emit("out", number)


class Racy(Numbering):
    """The bug: two workers may read the same `last`."""

    max_concurrency = 2


def number_invoices(kind: type[Numbering], seed: int) -> None:
    """Simulate a new graph; SimulationFailed if an invoice has a wrong number."""
    graph = Subgraph.from_nodes("invoices", [kind("numbering")])
    graph.expose_input("invoices", "numbering:in", capacity=2)
    graph.expose_output("numbers", "numbering:out", capacity=2)
    numbers: list[int] = []

    def feed(scheduler: Scheduler) -> None:
        for invoice in range(INVOICES):
            sleep(0.002)  # they seldom come close together
            scheduler.input("invoices").put(invoice)
        scheduler.input("invoices").close()

    def read(scheduler: Scheduler) -> None:
        numbers.extend(message.payload for message in scheduler.output("numbers"))

    def check(_: Scheduler) -> None:
        assert numbers == list(range(1, INVOICES + 1)), f"the numbers are {numbers}"

    simulate(graph, seed=seed, threads=[feed, read], check=check)


def try_seeds(kind: type[Numbering], seeds: int) -> None:
    """Simulate with each seed until one fails."""
    for seed in range(seeds):
        number_invoices(kind, seed)


def test_every_invoice_has_a_number_of_its_own() -> None:
    """The node that is right, over many seeds."""
    try_seeds(Numbering, 20)
    print("20 seeds: every invoice has a number of its own")


def test_the_simulation_finds_the_race() -> None:
    """The node that is wrong: the failure names the seed, which makes the same run again, step by step."""
    with pytest.raises(SimulationFailed, match="check: the numbers are") as found:
        try_seeds(Racy, 100)
    with pytest.raises(SimulationFailed) as again:
        number_invoices(Racy, found.value.seed)
    assert again.value.trace == found.value.trace
    print(f"Racy fails with seed {found.value.seed}: {found.value.what}")
    print(f"again: {found.value.again}")


if __name__ == "__main__":
    test_every_invoice_has_a_number_of_its_own()
    test_the_simulation_finds_the_race()
