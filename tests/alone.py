"""A pytest plugin for runs in several processes: `pytest -n 2`, as `make test` does.

The tests are handed out one after the other to whichever process has nothing to do. Those that are marked `alone` come
last, in one process, when all others have ended: their bounds are on time, or on who gets the processor, and would
break for what runs beside them. A crash takes one test with it; xdist starts another process for the rest.

In a run without `-n` nothing is different: the tests come in the order of their files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from xdist.scheduler import LoadScheduling

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MARK = "@alone"  # after the name of such a test, on its way from the process that collects to the one that distributes
AHEAD = 2  # tests that a process is given at a time: it begins one only when it knows the next


class Distribution(LoadScheduling):  # type: ignore[misc]
    """Who runs what, for xdist. Called by one thread, at each event from a process."""

    collection: list[str] | None

    def __init__(self, config: pytest.Config, log: Any) -> None:
        super().__init__(config, log)
        self._alone: list[int] = []  # those of them that nobody has been given
        self._are_alone: frozenset[int] = frozenset()

    @property
    def tests_finished(self) -> bool:
        return not self._alone and super().tests_finished

    @property
    def has_pending(self) -> bool:
        return bool(self._alone) or super().has_pending

    def schedule(self) -> None:
        """Once, when all have collected, and again when a process has been replaced."""
        if self.collection is None:
            if not self._check_nodes_have_same_collection():
                return
            marked = next(iter(self.node2collection.values()))
            self._are_alone = frozenset(index for index, name in enumerate(marked) if name.endswith(MARK))
            self.collection = [name.removesuffix(MARK) for name in marked]
            self._give_back(range(len(marked)))
        self._distribute()

    def add_node_collection(self, node: Any, collection: Sequence[str]) -> None:
        """What a process has found; one that replaces another is compared with the names as reports have them."""
        if self.collection is not None:
            collection = [name.removesuffix(MARK) for name in collection]
        super().add_node_collection(node, collection)

    def mark_test_complete(self, node: Any, item_index: int, duration: float = 0) -> None:
        self.node2pending[node].remove(item_index)
        self._distribute()

    def mark_test_pending(self, item: str) -> None:
        assert self.collection is not None
        self._give_back([self.collection.index(item)])
        self._distribute()

    def remove_node(self, node: Any) -> str | None:
        """A process has ended; returns the test that it was in if it crashed."""
        left = self.node2pending.pop(node)
        crashed = None
        if left:
            assert self.collection is not None
            crashed = self.collection[left[0]]
            self._give_back(left[1:])
        self._distribute()
        return crashed

    def _give_back(self, indices: Sequence[int]) -> None:
        self.pending.extend(index for index in indices if index not in self._are_alone)
        self._alone.extend(index for index in indices if index in self._are_alone)

    def _distribute(self) -> None:
        """No call of this is missed: it comes after each test, each process that ends and each that is ready."""
        for node in self.nodes:
            if node.shutting_down or node not in self.node2collection:  # the latter collects still, after a crash
                continue
            self._send_tests(node, max(0, AHEAD - len(self.node2pending[node])))
            if not self.pending and len(self.node2pending[node]) < AHEAD:
                self._finish(node)

    def _finish(self, node: Any) -> None:
        """There is no further test for side by side: the processes end, but for the last, which waits until then.

        A process that is told to end runs what it has before. The last begins its last test with the first that is
        alone, as a process begins none before it knows the next.
        """
        others = [other for other in self.nodes if other is not node]
        if self._alone and all(other.shutting_down for other in others):
            if any(self.node2pending[other] for other in others):
                return
            alone, self._alone = self._alone, []
            self.node2pending[node].extend(alone)
            node.send_runtest_some(alone)
        node.shutdown()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Distribution | None:
    """`--dist` chooses one of xdist's own, but for the one that -n alone means."""
    return Distribution(config, log) if config.getvalue("dist") == "load" else None


class _Marked:
    """A test as another process is told of it, where it is marked `alone`."""

    def __init__(self, item: pytest.Item) -> None:
        self.nodeid = item.nodeid + MARK
        self._item = item

    def __getattr__(self, name: str) -> Any:
        return getattr(self._item, name)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> Iterator[None]:
    """A process tells the names of its tests here, and no more than their names: those to run alone bear the mark."""
    items = session.items
    if hasattr(session.config, "workerinput"):
        told: list[Any] = [_Marked(item) if item.get_closest_marker("alone") else item for item in items]
        session.items = told
    yield
    session.items = items
