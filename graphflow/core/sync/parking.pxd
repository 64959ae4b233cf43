from cpython.object cimport PyObject
from cpython.pythread cimport PyThread_type_lock
from libc.stdint cimport int64_t

cdef enum WaitState:
    WAITING     # listed, or about to be
    MOVED       # a room maker moved the item into the queue
    RETRY       # look at the edge again
    SHUT        # the edge was closed; the item is still the caller's

cdef struct Wait:
    # One blocked call. While it is listed or rung the edge's lock guards all fields but `bell` and `owner`.
    PyObject* item              # owned: what a putter wants in, None once it is in; unused by a getter
    Py_ssize_t size             # the item's bytes on an edge bounded by bytes
    bint fixed                  # the item may be moved in as it is; else the putter must ask its policy or key again
    bint merge_only             # called back out of turn: it may be merged but not take room
    WaitState state
    WaitList* home              # the list it stands in, NULL for none
    int64_t ticket              # its place in line, kept when it comes back; 0 before the first listing
    Wait* previous
    Wait* next
    PyThread_type_lock bell     # held until somebody rings; NULL where a ring calls `owner` instead
    PyObject* owner             # borrowed: the Waiter it is part of, whose call() follows a ring; NULL with a bell
    bint held                   # a reference to `owner` is owned here: it is listed or rung
    bint rung                   # it is in the edge's line of those to be called
    Wait* next_rung

cdef struct WaitList:
    Wait* first
    Wait* last
    int64_t tickets             # given out

cdef class Waiter:
    cdef Wait wait

    cdef int park(self, int64_t timeout_ns) except -1
    cdef bint call(self) noexcept
    cdef void give_up(self) noexcept

cdef void enlist(WaitList* waits, Wait* wait) noexcept
cdef PyObject* let_go(Wait* wait) noexcept nogil
cdef void unlist(Wait* wait) noexcept nogil
cdef void ring(Wait* wait, WaitState state) noexcept nogil

cdef int64_t CENTURY_NS

cdef Waiter new_waiter(object item, Py_ssize_t size, bint fixed)
cdef int set_item(Waiter waiter, object item, Py_ssize_t size, bint fixed) except -1
cdef int64_t timeout_ns_of(object timeout) except -2
