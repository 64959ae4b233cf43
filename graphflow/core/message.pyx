"""Messages: a payload with headers that cost nothing until somebody looks at them.

A message holds no dict and no trace id when it is made. The first look at `headers` makes a
Headers object, the first look at its trace id makes the id. Children share: `with_payload` and the
runtime's `make_child` hand the same Headers on, `with_headers` makes new ones that point at the
Headers that hold the id (the root). As nothing ever points at more than a root, a long line of
descendants keeps one small object alive and none of the payloads before it.

Threads: a slot is filled by "make it, look again, store it". With the GIL no other thread runs
between the look and the store; without it a critical section on the owner does the same.
"""

import enum
import math
import numbers
import os
import random
import re
import reprlib
from collections.abc import ItemsView, KeysView, Mapping, ValuesView
from types import MappingProxyType

cimport cython

from graphflow.core.clock cimport Clock

cdef extern from *:
    """
    #include <time.h>
    // The coarse clock steps once a scheduler tick (1 to 10 ms) and costs a few ns to read.
    #ifdef CLOCK_REALTIME_COARSE
    #define GRAPHFLOW_STAMP_CLOCK CLOCK_REALTIME_COARSE
    #else
    #define GRAPHFLOW_STAMP_CLOCK CLOCK_REALTIME
    #endif
    static double graphflow_stamp(void) {
        struct timespec now;
        clock_gettime(GRAPHFLOW_STAMP_CLOCK, &now);
        return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
    }
    """
    double graphflow_stamp() noexcept nogil

cdef extern from *:
    """
    #include <structmember.h>
    // Lets Python read `payload` as it reads a __slots__ attribute. That is what handlers read most, and of all
    // attributes of extension types the interpreter has a quick way (LOAD_ATTR_SLOT) for these only.
    static int graphflow_show_payload(PyTypeObject *type, Py_ssize_t offset) {
        static PyMemberDef member = {"payload", T_OBJECT_EX, 0, READONLY, "What it carries."};
        member.offset = offset;
        PyObject *slot = PyDescr_NewMember(type, &member);
        if (slot == NULL) return -1;
        const int failed = PyDict_SetItemString(type->tp_dict, "payload", slot);
        Py_DECREF(slot);
        PyType_Modified(type);
        return failed;
    }
    #define GRAPHFLOW_PAYLOAD_OFFSET(message) ((const char *)&(message)->payload - (const char *)(message))
    """
    int graphflow_show_payload(type message_type, Py_ssize_t offset) except -1
    Py_ssize_t GRAPHFLOW_PAYLOAD_OFFSET(Message message) noexcept

cdef Clock stamp_clock = None       # of a simulation, which has no other threads
cdef double VIRTUAL_EPOCH = 946_684_800     # its clock starts in the year 2000


cdef double stamp() noexcept:
    """The time of a message that is made now, seconds since the epoch."""
    if stamp_clock is None:
        return graphflow_stamp()
    return VIRTUAL_EPOCH + stamp_clock.now_ns() * 1e-9


def set_stamp_clock(Clock clock):
    """Take the timestamps of messages from a simulation's clock; None restores the machine's."""
    global stamp_clock
    stamp_clock = clock


class MessageType(enum.Enum):
    """What a message is for."""

    DATA = "data"
    CONTROL = "control"
    ERROR = "error"


cdef object TYPE_DATA = MessageType.DATA
cdef object TYPE_CONTROL = MessageType.CONTROL
cdef object TYPE_ERROR = MessageType.ERROR

# Trace ids: our own generator, so that a user's random.seed() makes no two runs share ids.
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
    if given is None:
        return made
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
    if parent is not None and parent.extra is not None:
        extra = parent.extra | extra
    made.extra = extra or None
    return made


cdef Headers headers_of(Message message):
    """The headers of `message`, made on the first call."""
    if message._headers is None:
        made = make_headers(message.stamp, None, None)
        with cython.critical_section(message):
            if message._headers is None:
                message._headers = made
    return message._headers


# The trashcan, as a long chain of messages in messages would else overflow the stack when freed.
@cython.final
@cython.freelist(256)
@cython.trashcan(True)
cdef class Message:
    """An immutable message: a type, a payload, headers, and metadata.

    `metadata` and `headers` are copied. `headers` may hold a `trace_id` (str) and a `timestamp`
    (seconds since the epoch) of the caller's, or a W3C `traceparent`, whose trace id is taken where
    none is given; given another message's headers, the two share their trace id. Raises TypeError or
    ValueError for arguments that are not as described.
    """

    def __init__(self, type, payload, metadata=None, headers=None):
        if self.sealed:
            return
        if type is TYPE_DATA:
            self.kind = KIND_DATA
        elif type is TYPE_CONTROL:
            self.kind = KIND_CONTROL
        elif type is TYPE_ERROR:
            self.kind = KIND_ERROR
        else:
            raise TypeError(f"type must be a MessageType (DATA, CONTROL or ERROR), not {type!r}")
        self.stamp = stamp()
        if metadata is not None:
            self.meta = checked_metadata(metadata)
        if headers is not None:
            if isinstance(headers, Headers):
                self._headers = headers
            else:
                self._headers = make_headers(self.stamp, None, headers)
            self.stamp = self._headers.stamp
        self.payload = payload
        self.sealed = True

    @property
    def type(self):
        """The MessageType."""
        if self.kind == KIND_DATA:
            return TYPE_DATA
        return TYPE_CONTROL if self.kind == KIND_CONTROL else TYPE_ERROR

    @property
    def metadata(self):
        """None, or a read-only mapping."""
        return self.meta

    @property
    def headers(self):
        """An immutable mapping: `trace_id`, `timestamp` and what was given."""
        return headers_of(self)

    def is_data(self):
        """Say whether this is a DATA message."""
        return self.kind == KIND_DATA

    def is_control(self):
        """Say whether this is a CONTROL message."""
        return self.kind == KIND_CONTROL

    def is_error(self):
        """Say whether this is an ERROR message."""
        return self.kind == KIND_ERROR

    def get_trace_id(self):
        """Return `headers["trace_id"]`; the first look at it makes it."""
        return trace_of(headers_of(self))

    def get_timestamp(self):
        """Return `headers["timestamp"]`, seconds since the epoch."""
        return self.stamp

    def with_payload(self, payload):
        """Return a message that differs in its payload only."""
        cdef Message made = make_child(payload, self)
        made.kind = self.kind
        made.meta = self.meta
        return made

    def with_headers(self, **headers):
        """Return a message with `headers` over this one's.

        It shares this one's trace id unless given a `trace_id` of its own.
        """
        cdef Message made = Message.__new__(Message)
        made.kind = self.kind
        made.payload = self.payload
        made.meta = self.meta
        made._headers = make_headers(self.stamp, headers_of(self), headers)
        made.stamp = made._headers.stamp
        made.sealed = True
        return made

    def __repr__(self):
        return f"Message({self.type.name}, {reprlib.repr(self.payload)})"

    def __copy__(self):
        return self

    def __reduce__(self):
        metadata = None if self.meta is None else dict(self.meta)
        return (Message, (self.type, self.payload, metadata, dict(headers_of(self))))


graphflow_show_payload(Message, GRAPHFLOW_PAYLOAD_OFFSET(make_message(KIND_DATA, None)))


def known_trace(Message message):
    """The trace id of a message if it was given or has been read already; else None, and none is made."""
    cdef Headers root = message._headers
    if root is None:
        return None
    return root.trace if root.root is None else root.root.trace


cdef object checked_metadata(object metadata):
    if not isinstance(metadata, Mapping):
        raise TypeError(f"metadata must be a mapping or None, not {metadata!r}")
    return MappingProxyType(dict(metadata))


def restore_headers(values):
    """Make Headers again from what pickle kept."""
    return make_headers(stamp(), None, values)


cdef Message make_message(int kind, object payload):
    cdef Message made = Message.__new__(Message)
    made.kind = kind
    made.payload = payload
    made.stamp = stamp()
    made.sealed = True
    return made


cdef Message make_child(object payload, Message parent):
    cdef Message made = Message.__new__(Message)
    made.payload = payload
    made._headers = headers_of(parent)
    made.stamp = parent.stamp
    made.sealed = True
    return made
