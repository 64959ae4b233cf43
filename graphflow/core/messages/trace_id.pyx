"""Trace ids: where they come from, and which are taken from callers.

An id is 32 lowercase hex digits, as W3C wants them, and is made when somebody first looks at it (headers.pyx says how
relatives come to share one). Ids are handed in: a simulation gives its own source, so that its runs can be repeated.
"""

import os
import random
import re

# Our own generator, so that a user's random.seed() makes no two runs share ids.
cdef object generator = random.Random()
cdef object id_source = None
os.register_at_fork(after_in_child=generator.seed)


cdef object TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?")


def set_id_source(source):
    """Take trace ids from `source`, a callable that returns a 128-bit int; None restores random.

    Raises TypeError when `source` is neither callable nor None.
    """
    global id_source
    if source is not None and not callable(source):
        raise TypeError(f"source must be a callable that returns an int, or None, not {source!r}")
    id_source = source


cdef str new_trace_id():
    """An id of 32 lowercase hex digits; never all zeros, which W3C declares invalid."""
    source = id_source
    if source is None:
        return "%032x" % (generator.getrandbits(128) or 1)
    number = source()
    if not isinstance(number, int):
        raise TypeError(f"the id source must return an int, not {number!r}")
    if not 0 < number < 1 << 128:
        raise ValueError(f"the id source must return an int from 1 to 2**128 - 1, not {number!r}")
    return "%032x" % number


cdef str checked_trace(object value):
    if not isinstance(value, str):
        raise TypeError(f"headers['trace_id'] must be a str, not {value!r}")
    if not value:
        raise ValueError("headers['trace_id'] must not be empty; leave it out to have one made")
    return str(value)


cdef str trace_in(object traceparent):
    """The trace id in a W3C traceparent (version, trace id, parent id, flags); None if that is none."""
    match = TRACEPARENT.fullmatch(traceparent) if isinstance(traceparent, str) else None
    if match is None or match[1] == "0" * 32 or match[2] == "0" * 16:
        return None
    return match[1]
