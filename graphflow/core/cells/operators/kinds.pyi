from collections.abc import Callable
from typing import Any, Self, final

from graphflow.core.cells.base import NodeBase
from graphflow.core.messages.message import Message

class Operator:
    """What a compiled step does with one message."""

    def __init__(self, function: Callable[[Any], Any]) -> None: ...
    @property
    def function(self) -> Callable[[Any], Any]: ...
    def around(self, wrap: Callable[[Callable[[Any], Any]], Callable[[Any], Any]]) -> Self:
        """The same kind of operator, with the function that `wrap` makes of this one's."""

    def called(self, node: NodeBase, payload: Any) -> Any:
        """What the function returns for a payload, for on_message of its node; TypeError for what nobody would run."""

@final
class Map(Operator):
    """Sends what the function makes of a payload."""

    def __init__(self, function: Callable[[Any], Any], skips_none: bool = False) -> None: ...
    def around(self, wrap: Callable[[Callable[[Any], Any]], Callable[[Any], Any]]) -> Self: ...

@final
class Filter(Operator):
    """Sends on the messages whose payloads the function finds true."""

@final
class FlatMap(Operator):
    """Sends each value of what the function makes of a payload."""

@final
class Sink(Operator):
    """Calls the function, and sends nothing."""

@final
class Batch(Operator):
    """Sends lists of payloads: full ones, or what there is when the first of them has waited for the timeout."""

    def __init__(self, size: int, timeout_ns: int) -> None: ...
    def around(self, wrap: Callable[[Callable[[Any], Any]], Callable[[Any], Any]]) -> Self:
        """Itself: it has no function of the user's."""

    @property
    def size(self) -> int: ...
    def add(self, node: NodeBase, payload: Any) -> list[Any] | None:
        """Add a payload; the batch, if it is full now."""

    def due(self, node: NodeBase) -> list[Any] | None:
        """On a tick: the batch if it is due, else None; then another tick comes when it is."""

    def take(self) -> list[Any]:
        """What has been collected; empty from here on."""

    def count(self) -> int:
        """How many payloads have been collected."""

    def put_back(self, taken: list[Any]) -> None:
        """What take() gave could not be sent: it is here still."""

    def reset(self) -> None:
        """Before a run: forget the one before."""

def ends_here(node: NodeBase, port: str, message: Message) -> None:
    """A message that is no DATA has reached a node that sends nothing on, from on_message of that node."""

def rest_of(values: Any) -> Any:
    """What an iterator has left, as a generator."""
