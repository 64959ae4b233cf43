"""What becomes of an error in a node beyond being logged and counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from graphflow.base.arguments import seconds, whole

if TYPE_CHECKING:
    pass

Kind = Literal["continue", "retry", "dead_letter", "stop_node", "stop_graph"]

_ATTEMPTS_MAX = 1_000_000

# Messages in backoff that hold no place: where nothing is said, and at most.
_WAITING = 1024
_WAITING_MAX = 1_000_000


@dataclass(frozen=True, slots=True)
class ErrorPolicy:
    """What an exception in a node's `on_message`, `on_tick` or `produce` does; for one node or for all of a scheduler.

    One of `CONTINUE`, `STOP_NODE`, `STOP_GRAPH`, or made by `retry()` or `dead_letter()`. A generator that has raised
    has ended: a failed `produce` is not retried, the source has failed. An item that a source may not send is refused,
    and the source goes on.
    """

    CONTINUE: ClassVar[ErrorPolicy]
    """The message counts as failed and the node goes on."""
    STOP_NODE: ClassVar[ErrorPolicy]
    """The node is stopped: `on_stop` runs, its inputs are closed, what is queued for it counts as dropped."""
    STOP_GRAPH: ClassVar[ErrorPolicy]
    """The graph stops without draining, and `run()` or `wait()` raises the error."""

    kind: Kind
    """"continue", "retry", "dead_letter", "stop_node" or "stop_graph"."""
    attempts: int = 1
    """Of a retry: calls of the handler in all."""
    backoff_s: float = 0.0
    """Of a retry: seconds of rest before the second attempt; twice as long before each further one."""
    max_backoff_s: float = 0.0
    """Of a retry: seconds that a rest takes at most, before jitter."""
    jitter: float = 0.0
    """Of a retry: up to this share of a rest is added, drawn at random."""
    then: ErrorPolicy | None = None
    """Of a retry: what applies when no attempt is left; None: CONTINUE."""
    port: str | None = None
    """Of a dead letter: the output port."""
    holds_place: bool = True
    """Of a retry, in a node with `ordered = False`: a message in backoff takes one of the `max_concurrency` places."""
    max_waiting: int = 0
    """Of a retry with `holds_place=False`: messages in backoff that take no place; each beyond them takes one."""

    @classmethod
    def retry(
        cls,
        attempts: int,
        backoff_s: float = 0.1,
        *,
        max_backoff_s: float = 30.0,
        jitter: float = 0.5,
        then: ErrorPolicy | None = None,
        holds_place: bool = True,
        max_waiting: int | None = None,
    ) -> ErrorPolicy:
        """Call the handler again, `attempts` times in all; then the message counts as failed and `then` applies.

        Before the k-th retry the node rests for `backoff_s * 2 ** (k - 1)` seconds, `max_backoff_s` at most, and up to
        `jitter` times as long again, drawn at random. Meanwhile it takes control messages but no data, and holds no
        worker. What a failed attempt emitted is discarded: emissions are kept until the handler has returned, and
        `emit` answers OK. A generator that yields more than `outbox_limit` begins to send, and is not tried again.
        `then` is any policy but another retry, CONTINUE if None. When a drain's time ends before the next attempt,
        `then` applies at once, and the report names the node (`backing_off`).

        In a node with `ordered = False` other messages pass the one in backoff, which holds one of `max_concurrency`
        places. With `holds_place=False` up to `max_waiting` of them (1024 if None) hold none, and each beyond that one.

        Raises TypeError or ValueError naming the argument.
        """
        whole("attempts", attempts, 1, _ATTEMPTS_MAX)
        backoff = seconds("backoff_s", backoff_s)
        longest = seconds("max_backoff_s", max_backoff_s)
        if isinstance(jitter, bool) or not isinstance(jitter, (int, float)):
            raise TypeError(f"jitter must be a number from 0 to 1, not {jitter!r}")
        if not 0 <= jitter <= 1:
            raise ValueError(f"jitter must be a number from 0 to 1, not {jitter!r}")
        if then is not None and not isinstance(then, ErrorPolicy):
            raise TypeError(f"then must be an ErrorPolicy or None, not {then!r}")
        if then is not None and then.kind == "retry":
            raise ValueError("then must not be another retry: give this one more attempts")
        waiting = _places_beside(holds_place, max_waiting)
        return cls(
            "retry", attempts, backoff, longest, float(jitter), then, holds_place=holds_place, max_waiting=waiting
        )

    @classmethod
    def dead_letter(cls, port: str) -> ErrorPolicy:
        """Emit the message that failed, as the `DeadLetter` in an ERROR message, from the output `port` of the node.

        Raises TypeError for what is no name. A node without such a port is refused when it is registered.
        """
        if not isinstance(port, str) or not port:
            raise TypeError(f"port must be the name of an output port, not {port!r}")
        return cls("dead_letter", port=port)

    @property
    def final(self) -> ErrorPolicy:
        """What applies when there are no attempts left: `then` of a retry, else this policy."""
        if self.kind != "retry":
            return self
        return self.then if self.then is not None else ErrorPolicy.CONTINUE

    def delay_s(self, failures: int, drawn: float) -> float:
        """Seconds to rest after that many failed attempts; `drawn` is a random number from 0 to 1."""
        rest: float = min(self.max_backoff_s, self.backoff_s * 2.0 ** min(failures - 1, 64))
        return rest * (1 + self.jitter * drawn)


def _places_beside(holds_place: object, max_waiting: int | None) -> int:
    """How many messages in backoff take no place."""
    if not isinstance(holds_place, bool):
        raise TypeError(f"holds_place must be True or False, not {holds_place!r}")
    if max_waiting is not None:
        whole("max_waiting", max_waiting, 1, _WAITING_MAX)
        if holds_place:
            raise ValueError(f"max_waiting={max_waiting} bounds what holds no place: give holds_place=False with it")
    return 0 if holds_place else _WAITING if max_waiting is None else max_waiting


ErrorPolicy.CONTINUE = ErrorPolicy("continue")
ErrorPolicy.STOP_NODE = ErrorPolicy("stop_node")
ErrorPolicy.STOP_GRAPH = ErrorPolicy("stop_graph")
