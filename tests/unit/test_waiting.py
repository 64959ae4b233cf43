"""Which threads wait for a run: a handler that runs on one of them must not wait as well."""

from __future__ import annotations

import threading

from graphflow.runtime.signals import Waiting


def test_a_thread_that_waits_twice_waits_until_the_first_ends() -> None:
    waiting = Waiting()
    with waiting.here():
        with waiting.here():
            assert waiting.is_here()
        assert waiting.is_here()
    assert not waiting.is_here()


def test_each_thread_waits_for_itself() -> None:
    waiting = Waiting()
    seen: list[bool] = []
    with waiting.here():
        other = threading.Thread(target=lambda: seen.append(waiting.is_here()))
        other.start()
        other.join()
    assert seen == [False]
