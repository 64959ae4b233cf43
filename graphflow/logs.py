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

logging.getLogger("graphflow").addHandler(logging.NullHandler())


def say(log: logging.Logger, event: str, message: str, *args: object, exc_info: Any = None, **fields: Any) -> None:
    """Log an event at its level, with its fields. An exception of a user's filter is printed, as the logging module
    does for handlers, and goes no further."""
    try:
        log.log(EVENTS[event], message, *args, exc_info=exc_info, extra={"event": event, **fields})
    except Exception:
        if logging.raiseExceptions and sys.stderr is not None:
            traceback.print_exc()
