from graphflow.core.engine.engine import Engine

class LoopWorker:
    """The worker of the crew that async nodes belong to: an event loop."""

    def __init__(self, engine: Engine, crew_index: int, worker: int) -> None: ...
    def work(self) -> None:
        """The life of the loop's thread, until the run has ended."""

    def refusing(self) -> tuple[str, ...]:
        """Names of the tasks of hooks' own that have not ended: after the loop's end, or, where a step of one has not
        returned, while it still runs."""

    def orphan(self) -> None:
        """In a child that was forked on the loop's thread, by a task of the user's own: it ends with the next step of
        the loop. (Inside a hook it ends sooner; see Flight.step.)"""

    def close(self) -> None:
        """Close the pipe; also for a run that did not begin."""

    def cells(self) -> list[object]: ...
    def woken(self) -> None: ...
    def turns(self, woken: bool) -> None: ...
    def heed_phase(self) -> None: ...
    def run_loop(self) -> None: ...
    def end(self) -> None: ...
    def cancel_what_is_left(self) -> None: ...
