from collections.abc import Callable

from graphflow.core.sync.clock import Clock

class Abandoned(BaseException):
    """Raised where an actor waits, when the simulation has failed and everybody has to leave."""

class SimulatedClock(Clock):
    """Time that passes when the simulation lets it."""

    def advance(self, seconds: float) -> None:
        """Let so much time pass."""

    def since_start(self) -> float:
        """Seconds since the simulation began."""

class Rules:
    """What must hold."""

class Actor:
    """A thread of a simulation."""

    muted: int
    @property
    def baton(self) -> Baton: ...
    @property
    def name(self) -> str: ...
    @property
    def number(self) -> int: ...
    def enter(self) -> None:
        """On the actor's own thread: begin, when it is first chosen."""

    def leave(self) -> None:
        """On the actor's own thread: end, and let others go on."""

    def sleep(self, seconds: float) -> None:
        """Let so much time pass."""

    def await_condition(self, condition: Callable[[], object], timeout_s: float | None) -> bool:
        """Wait until `condition()` holds (True) or `timeout_s` seconds (None: any time) have passed (False)."""

class Baton:
    """The choice who goes on. The thread that makes it is the first actor, and holds the baton; it has to be the last
    to leave. A failure lets it go on, whatever it waits for."""

    put_timeouts: float
    def __init__(self, seed: int, most_steps: int) -> None: ...
    @property
    def actors(self) -> list[Actor]: ...
    @property
    def clock(self) -> SimulatedClock: ...
    @property
    def trace(self) -> list[tuple[int, int, str, str]]: ...
    @property
    def steps(self) -> int: ...
    @property
    def failure(self) -> str | None: ...
    @property
    def abandoned(self) -> bool: ...
    @property
    def alone(self) -> bool:
        """Has everybody left but the first actor?"""

    def adopt(self, name: str) -> Actor:
        """Make the calling thread the first actor."""

    def disown(self) -> None:
        """The calling thread, the first actor, is no actor any more."""

    def enlist(self, name: str) -> Actor:
        """An actor for a thread that is about to be started, which has to call enter() and leave()."""

    def strike(self, actor: Actor) -> None:
        """The thread could not be started."""

    def gone(self, actor: Actor) -> bool:
        """Has the actor left?"""

    def left(self) -> list[str]:
        """Names of the actors that have not left, but for the first, and what each waits for."""

    def random(self) -> float:
        """A number from 0 up to 1."""

    def below(self, limit: int) -> int:
        """A whole number from 0 up to `limit`."""

    def fail(self, what: str) -> int:
        """Something is wrong; the first such thing is kept."""

    def wind_up(self) -> None:
        """After a failure, by the first actor: it waits for the others again, who now leave or are made to."""

    def allow(self, steps: int) -> None:
        """Let the simulation take so many steps more, at most."""

    def note(self, what: str) -> None:
        """Add to the trace what the present holder does."""

def acting() -> Actor | None:
    """The actor that the calling thread is, None outside simulations."""
