"""The step of a graph as its author writes it: a name, ports, and hooks to override."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

from graphflow.base.issues import listing, nearest
from graphflow.core.cells.base import NodeBase
from graphflow.core.messages.port import Port, PortDirection, PortSpec, check_name

if TYPE_CHECKING:
    from graphflow.core.messages.message import Message
    from graphflow.graph.error_policy import ErrorPolicy

PortDeclaration = str | PortSpec | Port
PortDeclarations = PortDeclaration | Iterable[PortDeclaration]

_ALLOWED = "names, PortSpecs or Ports"


class Node(NodeBase):
    """A step of a graph. Override the hooks that it needs; `emit(port, value)` sends.

    Ports are declared on the class or given to the constructor: each a name, a `PortSpec` or a
    `Port`, one alone or several. What the constructor is given replaces what the class declares.

        class Double(Node):
            inputs = "in"
            outputs = PortSpec("out", int)

            def on_message(self, port, msg):
                self.emit("out", 2 * msg.payload)

    `on_message` may be a generator, whose values are emitted and which is suspended while there is
    no room for them. A node with a method `produce()`, a generator or an async generator, is a
    source. What a generator yields goes to the only output, or is a `(port, payload)` pair where
    there are several. Hooks may be `async def`; all hooks of such a node run on one event loop.
    `on_tick` and `on_drain` may be generators too, the other hooks may not.

    Raises ValueError for a bad or a repeated name, TypeError for what is no name or port.
    """

    # Any, so that a class may declare names or specs.
    inputs: Any = ()
    """Ports that messages come in by; once constructed a tuple of `Port`."""
    outputs: Any = ()
    """Ports that `emit` sends from; once constructed a tuple of `Port`."""
    name: str
    """Its name; in a graph it may have been added under another one."""
    error_policy: ErrorPolicy | None = None
    """What becomes of an error in `on_message`, `on_tick` or `produce`; None takes the scheduler's."""
    tick_interval_ms: float | None = None
    """Milliseconds between two `on_tick`; None takes the scheduler's."""
    max_concurrency: int = 1
    """How many workers may run `on_message` at once."""
    ordered: bool = True
    """Whether the outputs of concurrent handlers leave in the order of the inputs."""
    dedicated: bool = False
    """Whether the node gets a thread of its own for all its hooks."""
    carry_context: bool = False
    """Whether each message is handled in (a copy of) the `contextvars` context of whoever put or emitted it."""

    ends_with_outputs: bool | None = None
    """Whether the node ends when every edge that leaves it is closed, as sources and nodes made of functions do: its
    inputs close, and who feeds it may end too. None: it goes on, and the watchdog warns; False: it goes on."""

    def __init__(self, name: str, inputs: PortDeclarations = (), outputs: PortDeclarations = ()) -> None:
        self.name = check_name("node", name)
        what = f"node {name!r}"
        self.inputs = _make_ports(what, PortDirection.INPUT, inputs) or _make_ports(
            what, PortDirection.INPUT, self.inputs
        )
        self.outputs = _make_ports(what, PortDirection.OUTPUT, outputs) or _make_ports(
            what, PortDirection.OUTPUT, self.outputs
        )

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Check the ports that a class declares, and keep them as Ports."""
        super().__init_subclass__(**kwargs)
        what = f"class {cls.__name__}"
        if "inputs" in vars(cls):
            cls.inputs = _make_ports(what, PortDirection.INPUT, cls.inputs)
        if "outputs" in vars(cls):
            cls.outputs = _make_ports(what, PortDirection.OUTPUT, cls.outputs)

    @classmethod
    def with_ports(cls, name: str, ins: PortDeclarations = (), outs: PortDeclarations = ()) -> Self:
        """A node of this class with these input and output ports. Raises as the constructor does."""
        return cls(name, inputs=ins, outputs=outs)

    def on_start(self) -> object:
        """Runs once before any message, in topological order of the graph. If it raises, the node is stopped."""
        return None

    def on_message(self, port: str, msg: Message) -> object:
        """Handle one message that has arrived at the input `port`. It sends with `emit`; what it returns is ignored.

        What it raises is logged and counted, and the error policy applies: the message counts as failed.
        """
        return None

    def on_tick(self) -> object:
        """Runs every `tick_interval_ms`, from that long after the start; several missed ticks become one.

        A node gets none while it has messages in its outbox, and none once the graph drains.
        """
        return None

    def on_drain(self) -> object:
        """Runs once when the inputs have run dry for good; what it emits is delivered."""
        return None

    def on_stop(self) -> object:
        """Release resources; runs once if `on_start` did. `emit` raises here."""
        return None

    def on_error(self, exc: BaseException, msg: Message | None) -> object:
        """See an error of another hook before the error policy acts; `msg` is what that handled, or None."""
        return None

    def port_map(self) -> dict[str, Port]:
        """All ports by name; where an input and an output share a name, the output."""
        ports: tuple[Port, ...] = (*self.inputs, *self.outputs)
        return {port.name: port for port in ports}

    def input_port(self, name: str) -> Port:
        """The input port of this name; LookupError, naming the nearest, if there is none."""
        return self._port("input", name, self.inputs)

    def output_port(self, name: str) -> Port:
        """The output port of this name; LookupError, naming the nearest, if there is none."""
        return self._port("output", name, self.outputs)

    def _port(self, side: str, name: str, ports: tuple[Port, ...]) -> Port:
        by_name = {port.name: port for port in ports}
        if not isinstance(name, str) or name not in by_name:
            advice = nearest(str(name), by_name)
            raise LookupError(f"node {self.name!r} has no {side} port {name!r}: {advice}")
        return by_name[name]

    def __repr__(self) -> str:
        # A node whose class forgot super().__init__ is shown in errors, too.
        name = repr(self.name) if "name" in vars(self) else "without a name"
        return f"<{type(self).__name__} {name}>"


def _make_ports(owner: str, direction: PortDirection, declared: PortDeclarations) -> tuple[Port, ...]:
    """The ports that were declared; `owner` is whom an error names."""
    side = f"{direction.value}s"
    if isinstance(declared, (str, PortSpec, Port)):
        declared = (declared,)
    if not isinstance(declared, Iterable):
        raise TypeError(f"the {side} of {owner} must be {_ALLOWED}, not {declared!r}")
    ports: list[Port] = []
    for index, each in enumerate(declared):
        if isinstance(each, str):
            port = Port(each, direction, index)
        elif isinstance(each, PortSpec):
            port = Port(each.name, direction, index, each)
        elif isinstance(each, Port):
            port = _placed(owner, direction, each, index)
        else:
            raise TypeError(f"the {side} of {owner} must be {_ALLOWED}, not {each!r}")
        ports.append(port)
    counts = Counter(port.name for port in ports)
    repeated = [repr(name) for name, count in counts.items() if count > 1]
    if repeated:
        raise ValueError(f"the {side} of {owner} repeat {listing(repeated)}: rename all but one")
    return tuple(ports)


def _placed(owner: str, direction: PortDirection, port: Port, index: int) -> Port:
    if port.direction is not direction:
        side = f"{direction.value}s"
        raise ValueError(f"the {side} of {owner} hold {port.name!r}, an {port.direction.value}")
    return Port(port.name, direction, index if port.index is None else port.index, port.spec)
