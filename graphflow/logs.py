"""Logging that cannot break what it reports on."""

import logging
import sys
import traceback
from typing import Any


def safe_log(log: logging.Logger, level: int, message: str, *args: object, **options: Any) -> None:
    """Log; an exception of a user's filter is printed, as the logging module does for handlers, and goes no further."""
    try:
        log.log(level, message, *args, **options)
    except Exception:
        if logging.raiseExceptions and sys.stderr is not None:
            traceback.print_exc()
