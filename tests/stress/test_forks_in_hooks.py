"""A thousand forks inside hooks of every kind of node, beside threads that compute and put."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forking import EVERY_KIND, WAYS, program

if TYPE_CHECKING:
    from collections.abc import Callable

FORKS = 60  # in a round: five ways out of the child, in twelve kinds of node


def test_a_child_ends_with_its_hook_and_its_parent_loses_nothing(times: Callable[[int], int]) -> None:
    rounds = times(17)
    out = program(
        WAYS
        + EVERY_KIND
        + f"ROUNDS = {rounds}\n"
        + """
over = threading.Event()
def load():
    while not over.is_set():
        sum(range(1000))
for _ in range(2):
    threading.Thread(target=load, daemon=True).start()
beside, taken = Subgraph("beside"), []
beside.add_node(sink_node(taken.append, "taken"))
beside.expose_input("in", "taken:in", capacity=16)
other = Scheduler(SchedulerConfig(name="beside", workers=1))
other.register(beside)
other.start()
put = []
def feed(name):
    inlet = other.input("in")
    for number in range(10**9):
        if over.is_set():
            return
        inlet.put((name, number))
        put.append(name)
feeders = [threading.Thread(target=feed, args=(name,)) for name in "ab"]
for feeder in feeders:
    feeder.start()
wrong = lost = forks = 0
for _ in range(ROUNDS):
    codes.clear()
    seen = []
    report = run_graph(chain(*nodes(seen), capacity=4), workers=2)
    forks += len(codes)
    wrong += sum(code != EXPECTED[key[1]] for key, code in codes.items())
    lost += sorted(seen) != list(range(STEP * len(WAYS))) or not report.complete
over.set()
for feeder in feeders:
    feeder.join()
report = other.shutdown()
print("forks", forks, "wrong", wrong, "lost", lost, "beside", report.complete, len(put) == len(taken) > 0, flush=True)
""",
        deadline_s=900,
    )
    assert f"forks {FORKS * rounds} wrong 0 lost 0 beside True True" in out
    assert "went on" not in out
