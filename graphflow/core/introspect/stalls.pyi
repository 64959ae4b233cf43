from graphflow.core.engine.engine import Engine
from graphflow.core.introspect.seen import EdgeSeen, HookSeen, NodeSeen

def observe(engine: Engine) -> tuple[list[HookSeen], dict[str, NodeSeen], list[EdgeSeen]]:
    """The hooks that run, the nodes that are busy (by path) and the edges that hold something."""
