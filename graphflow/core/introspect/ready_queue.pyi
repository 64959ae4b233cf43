from typing import Any

from graphflow.core.engine.engine import Engine

def line_up(engine: Engine) -> dict[str, Any]:
    """The crews with the nodes that are queued for them, first one first; and every node with what it could do
    (`pending`), what keeps it from that (`masks`) and who is inside."""
