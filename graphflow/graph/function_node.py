"""What nodes that are made of a function have in common: where their results go, and where their dead letters do."""

from __future__ import annotations

from graphflow.core.messages.port import Port, PortDirection
from graphflow.graph.error_policy import ErrorPolicy
from graphflow.graph.node import Node


class MadeNode(Node):
    """A node that a factory makes: an error policy that sends dead letters gives it the port for them."""

    _policy: ErrorPolicy | None = None
    _letters: str | None = None  # the output that only the policy asked for

    @property
    def error_policy(self) -> ErrorPolicy | None:
        """What becomes of an error; None takes the scheduler's. A port that it names for dead letters is there."""
        return self._policy

    @error_policy.setter
    def error_policy(self, policy: ErrorPolicy | None) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        declared = self.declared
        self._policy, self._letters = policy, None
        port = policy.final.port if isinstance(policy, ErrorPolicy) else None  # a check says what else it may be
        if port is not None and port not in [each.name for each in declared]:
            self._letters = port
            declared = (*declared, Port(port, PortDirection.OUTPUT, len(declared)))
        self.outputs = declared

    @property
    def declared(self) -> tuple[Port, ...]:
        """The outputs that it was given."""
        return tuple(port for port in self.outputs if port.name != self._letters)

    @property
    def results(self) -> str | None:
        """The output that its results go to; None if there is none, or if each result names its own."""
        return self.declared[0].name if self.declared else None
