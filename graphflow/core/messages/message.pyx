"""Messages: a payload with headers that cost nothing until somebody looks at them.

A message holds no dict and no trace id when it is made, only its timestamp. The first look at `headers` makes a Headers
object (headers.pyx), the first look at its trace id makes the id (trace_id.pyx). Children share: `with_payload` and the
runtime's `make_child` hand the same Headers on, `with_headers` makes new ones with the same root.

Threads: the slot for the headers is filled by "make it, look again, store it". With the GIL no other thread runs
between the look and the store; without it a critical section on the message does the same.
"""

import enum
import reprlib
from collections.abc import Mapping
from types import MappingProxyType

cimport cython

from graphflow.core.messages.headers cimport Headers, make_headers, trace_of
from graphflow.core.sync.clock cimport Clock

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


cdef Headers headers_of(Message message):
    """The headers of `message`, made on the first call."""
    cdef Headers made
    if message._headers is None:
        made = Headers.__new__(Headers)
        made.stamp = message.stamp
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
