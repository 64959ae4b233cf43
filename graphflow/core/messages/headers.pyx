"""Headers of a message: an immutable mapping that makes its trace id when somebody looks at it.

A Headers object that was made over another's points at the one that holds the id (the root). As nothing ever points at
more than a root, a long line of descendants keeps one small object alive and none of the payloads before it.

Threads: the id is filled in by "make it, look again, store it". With the GIL no other thread runs between the look and
the store; without it a critical section on the root does the same.
"""

import math
import numbers
from collections.abc import ItemsView, KeysView, Mapping, ValuesView

cimport cython

from graphflow.core.messages.trace_id cimport checked_trace, new_trace_id, trace_in


@cython.final
@cython.freelist(64)
cdef class Headers:
    """The headers of a message: an immutable mapping with `trace_id` and `timestamp` in it.

    The trace id is made when it is first read. Iterating over the keys reads no value.
    """

    def __init__(self, *args, **kwargs):
        raise TypeError("Headers come from Message(...).headers; give Message a dict instead")

    def __getitem__(self, key):
        if key == "trace_id":
            return trace_of(self)
        if key == "timestamp":
            return self.stamp
        if self.extra is None:
            raise KeyError(key)
        return self.extra[key]

    def __contains__(self, key):
        if key == "trace_id" or key == "timestamp":
            return True
        return self.extra is not None and key in self.extra

    def __iter__(self):
        return iter(("trace_id", "timestamp", *(self.extra or ())))

    def __len__(self):
        return 2 if self.extra is None else 2 + len(self.extra)

    def get(self, key, default=None):
        """Return the value of `key`, or `default` where there is none."""
        return self[key] if key in self else default

    def keys(self):
        """Return a view of the names."""
        return KeysView(self)

    def values(self):
        """Return a view of the values."""
        return ValuesView(self)

    def items(self):
        """Return a view of the pairs of name and value."""
        return ItemsView(self)

    def __eq__(self, other):
        if not isinstance(other, Mapping):
            return NotImplemented
        return self is other or dict(self) == dict(other)

    __hash__ = None

    def __repr__(self):
        # Looking at a message in a debugger or a log must not make the id.
        cdef Headers root = self if self.root is None else self.root
        shown = {} if root.trace is None else {"trace_id": root.trace}
        shown["timestamp"] = self.stamp
        return f"Headers({shown | (self.extra or {})})"

    def __copy__(self):
        return self

    def __reduce__(self):
        return (restore_headers, (dict(self),))


Mapping.register(Headers)


cdef str trace_of(Headers headers):
    """The id that `headers` and all its relatives share."""
    cdef Headers root = headers if headers.root is None else headers.root
    if root.trace is None:
        made = new_trace_id()
        with cython.critical_section(root):
            if root.trace is None:
                root.trace = made
    return root.trace


cdef double checked_stamp(object value) except? -1.0:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"headers['timestamp'] must be a number of seconds, not {value!r}")
    try:
        stamp = float(value)
    except OverflowError:
        stamp = math.inf
    if not math.isfinite(stamp):
        raise ValueError(f"headers['timestamp'] must be finite, not {value!r}")
    return stamp


cdef Headers make_headers(double stamp, Headers parent, object given):
    """Headers of their own with what `given` holds, over what `parent` (or None) holds."""
    cdef Headers made = Headers.__new__(Headers)
    made.stamp = stamp
    if parent is not None:
        made.root = parent if parent.root is None else parent.root
    if not isinstance(given, Mapping):
        raise TypeError(f"headers must be a mapping with str keys, not {given!r}")
    # One pass over the caller's mapping: what is checked is what is kept.
    extra = dict(given)
    for key in extra:
        if not isinstance(key, str):
            raise TypeError(f"headers must have str keys, not {key!r}")
    if "trace_id" in extra:
        made.trace = checked_trace(extra.pop("trace_id"))
        made.root = None
    elif "traceparent" in extra and (trace := trace_in(extra["traceparent"])) is not None:
        made.trace = trace
        made.root = None
    if "timestamp" in extra:
        made.stamp = checked_stamp(extra.pop("timestamp"))
    if parent is not None:
        made.carried = parent.carried
        extra = (parent.extra or {}) | extra
    made.extra = extra or None
    return made


cdef Headers headers_carrying(Headers headers, object context):
    """The same headers, with a context carried along."""
    cdef Headers made = Headers.__new__(Headers)
    made.extra = headers.extra
    made.root = headers if headers.root is None else headers.root
    made.stamp = headers.stamp
    made.carried = context
    return made


def restore_headers(values):
    """Make Headers again from what pickle kept."""
    return make_headers(0, None, values)    # the timestamp is one of them
