import enum
from typing import Any

class PortDirection(enum.Enum):
    """Which way messages pass through a port, seen from its node."""

    INPUT = "input"
    """Into the node."""
    OUTPUT = "output"
    """Out of the node."""

def plain_text(text: Any) -> Any:
    """The characters of a str as a plain one, whatever a subclass (a StrEnum, say) says that it is; anything else as
    it is."""

def check_name(what: str, name: object) -> str:
    """Return `name` if it may name a `what` ("port", "node", ...).

    Names are parts of edge ids, so they hold no ":", "/" or "->". Raises TypeError for what is
    not a str, ValueError for a name that is empty, holds one of these or cannot be written down.
    """

class PortSpec:
    """A port's name, what may pass through it, and the policy its edges have by default.

    `schema` is None (everything passes), a type, a tuple of types, an annotation, a pydantic model
    or a `TypeAdapter`. Values are checked by isinstance, so True passes for int; generics are
    checked by their origin, so `list[int]` takes any list. A value is never converted.
    `policy` is None or an object with `on_enqueue`. Raises TypeError or ValueError for arguments
    that are not as described.
    """

    def __init__(self, name: str, schema: Any = None, policy: Any = None) -> None: ...
    @property
    def name(self) -> str:
        """Of the port."""

    @property
    def schema(self) -> Any:
        """What was given: what values must match, or None."""

    @property
    def policy(self) -> Any:
        """What its edges do with a newcomer when they are full, or None."""

    @property
    def check_kind(self) -> int:
        """How values are checked: 0 not at all, 1 by isinstance, 2 by Python code."""

    def validate(self, value: Any) -> bool:
        """Say whether `value` may pass. An error inside a user's own validator is raised."""

    def compatible_with(self, other: PortSpec) -> bool:
        """Say whether whatever this spec lets out the spec `other` lets in.

        Everything fits where one of the two has no schema.
        """

    def __eq__(self, value: object, /) -> bool: ...
    def __hash__(self) -> int: ...

class Port:
    """An endpoint of a node: a name, a direction, a place among its like, and a spec.

    `index` counts from 0, or is None while nobody has placed the port. Raises TypeError or
    ValueError for arguments that are not as described.
    """

    def __init__(
        self,
        name: str,
        direction: PortDirection,
        index: int | None = None,
        spec: PortSpec | None = None,
    ) -> None: ...
    @property
    def name(self) -> str:
        """Unique among the node's inputs, or outputs."""

    @property
    def direction(self) -> PortDirection:
        """Which way messages pass."""

    @property
    def index(self) -> int | None:
        """Its place among its like, from 0; None while nobody has placed it."""

    @property
    def spec(self) -> PortSpec | None:
        """What may pass, or None."""

    def is_input(self) -> bool:
        """Say whether messages enter the node here."""

    def is_output(self) -> bool:
        """Say whether messages leave the node here."""

    def __eq__(self, value: object, /) -> bool: ...
    def __hash__(self) -> int: ...
