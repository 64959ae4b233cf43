"""bytewax: a compiled (Rust) engine that runs the functions over batches of 256, on one thread, without bounds."""

from __future__ import annotations

import time

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.testing import TestingSink, TestingSource, run_main

from peers import double, increment

PACKAGE = "bytewax"
MESSAGES = 200_000


def run(count: int) -> tuple[float, int]:
    """Its sink collects into a list, which is summed afterwards."""
    collected: list[int] = []
    flow = Dataflow("peer")
    stream = op.input("numbers", flow, TestingSource(range(count), batch_size=256))
    stream = op.map("increment", stream, increment)
    stream = op.map("double", stream, double)
    op.output("sum", stream, TestingSink(collected))
    began = time.perf_counter()
    run_main(flow)
    return time.perf_counter() - began, sum(collected)
