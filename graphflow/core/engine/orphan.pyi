from graphflow.core.engine.engine import Engine

def orphan(engine: Engine) -> None:
    """Take the run apart in a forked child: whatever was held, nothing is, and nothing of it goes on."""
