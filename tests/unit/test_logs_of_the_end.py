"""When the end of a run is told."""

from __future__ import annotations

import logging
import threading

import pytest
from graphs import Collect, Source, chain, scheduler_of

from graphflow import SchedulerStateError


def test_the_end_is_told_before_who_waits_for_it_goes_on() -> None:
    """A handler that takes its time is waited for, and may not wait for the run itself."""
    told: list[str] = []

    class Slow(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if getattr(record, "event", "") != "run_ended":
                return
            with pytest.raises(SchedulerStateError, match="thread of the scheduler itself"):
                scheduler.wait()
            told.append(scheduler.shutdown().reason)
            threading.Event().wait(0.2)
            told.append("told")

    handler = Slow()
    logger = logging.getLogger("graphflow.scheduler")
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        scheduler = scheduler_of(chain(Source("source", [1]), Collect()))
        assert scheduler.run().complete
        assert told == ["stopping", "told"]
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
