"""How long things take on the clock on the wall: waking up, control under load, ticks, starting and stopping.

They depend on the machine and on what else it does, so they are shown; only ratios to a thread doing the same by hand
are held, loosely.
"""

from __future__ import annotations

import logging
import queue
import statistics
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from graphflow import Message, MessageType, Node, Scheduler, SchedulerConfig, Subgraph

if TYPE_CHECKING:
    from figures import Figures

WAKE_UPS = 100
PAUSE_S = 0.001  # after which a thread that waits is asleep for sure
HANDLER_S = 0.0002
CONTROLS = 200
TICK_MS = 10.0
TICKS = 60
RATE = 2_000  # messages a second that count as a normal load
STEADY = 400
BURST = 1_000


class Receive(Node):
    """Notes when each message comes, and says so."""

    inputs = "in"

    def __init__(self) -> None:
        super().__init__("receive")
        self.came = 0.0
        self.late: list[float] = []
        self.said = threading.Semaphore(0)

    def on_message(self, port: str, msg: Message) -> None:
        """Payloads are the times when they were put."""
        self.came = time.perf_counter()
        self.late.append(self.came - msg.payload)
        self.said.release()


class Busy(Node):
    """Has more data than it can handle, and notes how late control comes."""

    inputs = "in"

    def __init__(self, spend: Callable[[], None]) -> None:
        super().__init__("busy")
        self.spend = spend
        self.late: list[float] = []
        self.said = threading.Semaphore(0)

    def on_message(self, port: str, msg: Message) -> None:
        """Control has the time when it was put."""
        if msg.is_control():
            self.late.append(time.perf_counter() - msg.payload)
            self.said.release()
        else:
            self.spend()


class Tick(Node):
    """Notes when its ticks come."""

    inputs = "in"
    tick_interval_ms = TICK_MS

    def __init__(self) -> None:
        super().__init__("tick")
        self.times: list[float] = []

    def on_tick(self) -> None:
        """Now."""
        self.times.append(time.perf_counter())

    def on_message(self, port: str, msg: Message) -> None:
        """Some work."""
        compute()


def sleep() -> None:
    """A handler that waits for something, without the GIL."""
    time.sleep(HANDLER_S)


def compute() -> None:
    """A handler that computes in Python for as long."""
    until = time.perf_counter() + HANDLER_S
    while time.perf_counter() < until:
        pass


def of_one(made: Node, **config: Any) -> Scheduler:
    """A scheduler of one node, with an exposed input."""
    graph = Subgraph.from_nodes("one", [made])
    graph.expose_input("in", (made.name, "in"), capacity=100_000)
    scheduler = Scheduler(SchedulerConfig(**config))
    scheduler.register(graph)
    return scheduler


def percentile(values: list[float], percent: int) -> float:
    """The value that `percent` of a hundred do not exceed."""
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]


def wake_up() -> float:
    """Median time from a put to the handler, in that from a put into a queue.Queue to a thread that waits there."""
    receive = Receive()
    plain: queue.Queue[float | None] = queue.Queue()
    late: list[float] = []
    said = threading.Semaphore(0)

    def wait() -> None:
        while (put := plain.get()) is not None:
            late.append(time.perf_counter() - put)
            said.release()

    thread = threading.Thread(target=wait)
    thread.start()
    with of_one(receive) as scheduler:
        inlet = scheduler.input("in")
        for _ in range(WAKE_UPS):
            time.sleep(PAUSE_S)
            inlet.put(time.perf_counter())
            receive.said.acquire()
            time.sleep(PAUSE_S)
            plain.put(time.perf_counter())
            said.acquire()
    plain.put(None)
    thread.join()
    return statistics.median(receive.late) / statistics.median(late)


def control(spend: Callable[[], None]) -> float:
    """The 99th percentile of the seconds from the put of a control message to its handler, the node being saturated."""
    busy = Busy(spend)
    scheduler = of_one(busy)
    inlet = scheduler.input("in")
    inlet.put_many([0.0] * int(CONTROLS * (PAUSE_S + 5 * HANDLER_S) / HANDLER_S))
    scheduler.start()
    for _ in range(CONTROLS):
        time.sleep(PAUSE_S)
        inlet.put(Message(MessageType.CONTROL, time.perf_counter()))
        busy.said.acquire()
    scheduler.shutdown(drain=False)
    return percentile(busy.late, 99)


def tick_lateness() -> float:
    """The 95th percentile of how far ticks are from where they are due, in intervals, under a normal load."""
    tick = Tick()
    with of_one(tick) as scheduler:
        inlet = scheduler.input("in")
        while len(tick.times) < TICKS:
            inlet.put(0.0)
            time.sleep(1 / RATE)
    first = tick.times[0]
    off = [abs(came - first - number * TICK_MS / 1000) for number, came in enumerate(tick.times)]
    return percentile(off, 95) / (TICK_MS / 1000)


def from_put(percent: int, burst: bool) -> Callable[[], float]:
    """Seconds from a put to the handler: one message after another at RATE, or BURST of them at once."""

    def measure() -> float:
        receive = Receive()
        with of_one(receive) as scheduler:
            inlet = scheduler.input("in")
            for _ in range(BURST if burst else STEADY):
                inlet.put(time.perf_counter())
                if not burst:
                    time.sleep(1 / RATE)
        return percentile(receive.late, percent)

    return measure


def start_and_stop(size: int, stop: bool) -> Callable[[], float]:
    """Seconds that starting a graph of `size` nodes takes, or stopping it."""

    def measure() -> float:
        graph = Subgraph.from_nodes("many", [Receive()])
        for number in range(size - 1):
            graph.add_node(Node(f"idle{number}", "in"))
        graph.expose_input("in", "receive:in")
        scheduler = Scheduler()
        scheduler.register(graph)
        logging.disable(logging.WARNING)  # of the inputs that are not connected
        began = time.perf_counter()
        scheduler.start()
        started = time.perf_counter()
        scheduler.shutdown()
        stopped = time.perf_counter()
        logging.disable(logging.NOTSET)
        return stopped - started if stop else started - began

    return measure


def add_latencies(figures: Figures) -> None:
    """The figures of this file."""
    figures.add("wake_up.over_Queue", wake_up, "loose")
    figures.add("control.p99_waiting", lambda: control(sleep), "none")
    figures.add("control.p99_computing", lambda: control(compute), "none")
    figures.add("tick.p95_in_intervals", tick_lateness, "none")
    for percent in (50, 95, 99):
        figures.add(f"put_to_handler.p{percent}_steady", from_put(percent, burst=False), "none")
        figures.add(f"put_to_handler.p{percent}_burst", from_put(percent, burst=True), "none")
    for size in (4, 100, 1_000, 10_000):
        figures.add(f"start.{size}_nodes", start_and_stop(size, stop=False), "none")
        figures.add(f"stop.{size}_nodes", start_and_stop(size, stop=True), "none")
