"""What graphflow logs: the names of its events, and a call that cannot break what it reports on.

Loggers are called "graphflow.<part>". Each record has `event`, one of EVENTS, and as far as they apply `graph`, `node`,
`port`, `edge_id`, `trace_id`, `band`, as attributes of the record (`extra`). Payloads are in none of it.
"""

import logging
import sys
import traceback
from typing import Any

# Names and levels are part of the interface: docs/logging.md says what each means and has.
EVENTS = {
    "run_started": logging.INFO,
    "run_draining": logging.INFO,
    "run_stopping": logging.INFO,
    "run_ended": logging.INFO,
    "graph_warning": logging.WARNING,
    "node_error": logging.ERROR,
    "retry": logging.WARNING,
    "node_stopped": logging.WARNING,
    "outputs_closed": logging.INFO,
    "batch_left": logging.WARNING,
    "ignored_return": logging.WARNING,
    "error_unseen": logging.WARNING,
    "policy_error": logging.ERROR,
    "merge_error": logging.ERROR,
    "priority_changed": logging.INFO,
    "capacity_changed": logging.INFO,
    "edge_dropped": logging.DEBUG,
    "edge_replaced": logging.DEBUG,
    "edge_expired": logging.DEBUG,
    "stall": logging.WARNING,
    "stall_cleared": logging.WARNING,
    "watchdog_error": logging.ERROR,
    "no_thread": logging.WARNING,
    "flight_recorded": logging.INFO,
    "flight_not_recorded": logging.ERROR,
    "scrape_error": logging.ERROR,
    "tracing_error": logging.ERROR,
}

TEXT_LIMIT = 64 * 1024  # characters of an error with its traceback: one may quote a payload of any size
LINE_LIMIT = 200  # characters of an error where it is told in one line

logging.getLogger("graphflow").addHandler(logging.NullHandler())


def cut(text: str) -> str:
    """The text, or the beginning and the end of one that is longer than TEXT_LIMIT, and how much is left out."""
    left_out = len(text) - TEXT_LIMIT
    if left_out <= 0:
        return text
    half = TEXT_LIMIT // 2
    return f"{text[:half]}\n[{left_out} characters are left out]\n{text[-half:]}"


def traceback_of(error: BaseException) -> str:
    """The traceback as text, with what the error says of itself, cut."""
    return cut("".join(traceback.format_exception(error)))


def in_a_line(error: BaseException) -> str:
    """The error's type and the beginning of what it says of itself; where its own code fails at that, its type."""
    try:
        line = "".join(traceback.format_exception_only(error)).partition("\n")[0]
    except Exception:
        line = type(error).__name__
    return line if len(line) <= LINE_LIMIT else f"{line[:LINE_LIMIT]}..."


def say(log: logging.Logger, event: str, message: str, *args: object, exc_info: Any = None, **fields: Any) -> None:
    """Log an event at its level, with its fields. An exception of a user's filter is printed, as the logging module
    does for handlers, and goes no further. An error whose text is too long comes as a part of the message, cut: as
    `exc_info` each handler would write it whole. `exc_info` True is the error that is being handled."""
    try:
        if exc_info is True:
            exc_info = sys.exception()
        if isinstance(exc_info, BaseException) and log.isEnabledFor(EVENTS[event]):
            text = "".join(traceback.format_exception(exc_info))
            if len(text) > TEXT_LIMIT:
                message, args, exc_info = f"{message}\n%s", (*args, cut(text)), None
        log.log(EVENTS[event], message, *args, exc_info=exc_info, extra={"event": event, **fields})
    except Exception:
        if logging.raiseExceptions and sys.stderr is not None:
            traceback.print_exc()
