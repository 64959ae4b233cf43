from graphflow.core.messages.message import Message

def current_hook() -> tuple[str, str, Message | None] | None:
    """(name of the scheduler, path of the node, the Message being handled or None) where a hook of a node runs on this
    thread; else None. Makes no trace id."""
