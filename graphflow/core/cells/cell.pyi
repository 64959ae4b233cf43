from graphflow.core.cells.handling import Handler

class Cell(Handler):
    """A node in a run."""

    @property
    def path(self) -> str: ...
    @property
    def over(self) -> bool: ...
    def kept_for(self, outlet: object) -> int:
        """Copies for an edge that are in nobody's hands yet but this node's."""

    def held_back(self) -> int:
        """After the run: what the node holds still, by its own account and in what was suspended when it was closed."""

    def never_retried(self) -> int:
        """After the run: messages that were to be tried again and are not."""

    def counts(self) -> dict[str, int]:
        """What became of the messages that edges delivered to the node: exact while nobody is inside."""

    def hooks_inside(self) -> list[tuple[int, str, int, object, bool, int]]:
        """The hooks that run now: (a number that is another's for another call, name, thread, coroutine or None)."""

    def release(self) -> None:
        """After the run: let go of everything that refers back to it."""
