"""Where a hook stands: the Python stack of its thread, or the awaits of its coroutine."""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType

_ASYNCIO = str(Path(asyncio.__file__).parent)
_NOT_THE_HOOKS = (threading.__file__, _ASYNCIO, str(Path(__file__).parent / "run.py"))


def stack_of(thread: int, body: Any = None) -> str:
    """The stack as text, outermost call first; "" if there is none any more. `body`: the coroutine, where it is one."""
    frames = _awaiting(body)
    if not frames:
        frames = _calling(sys._current_frames().get(thread))
    return "".join(traceback.StackSummary.extract((frame, frame.f_lineno) for frame in frames).format())


def _calling(frame: FrameType | None) -> list[FrameType]:
    """The frames of a thread, without those that lead to the hook."""
    frames: list[FrameType] = []
    while frame is not None:
        frames.insert(0, frame)
        frame = frame.f_back
    while frames and frames[0].f_code.co_filename.startswith(_NOT_THE_HOOKS):
        del frames[0]
    return frames


def _awaiting(body: Any) -> list[FrameType]:
    """The frames of a coroutine that awaits something; none if it runs now, as its thread tells more."""
    frames: list[FrameType] = []
    while body is not None:
        if getattr(body, "cr_running", False) or (getattr(body, "ag_running", False) and not _awaited(body)):
            return []
        frame = getattr(body, "cr_frame", None) or getattr(body, "ag_frame", None) or getattr(body, "gi_frame", None)
        if frame is None:
            break
        frames.append(frame)
        body = _awaited(body)
    return frames


def _awaited(body: Any) -> Any:
    for name in ("cr_await", "ag_await", "gi_yieldfrom"):
        if hasattr(body, name):
            return getattr(body, name)
    return None
