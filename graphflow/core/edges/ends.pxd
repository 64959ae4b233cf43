# What stands at the two ends of an edge in a run, and what they are told. See ends.pyx.

from cpython.object cimport PyObject

cdef class EdgeEnd:
    """What stands at either end of a queue that runs in a graph. Called with the GIL and no lock held."""
    cdef void arrived(self, bint control) noexcept
    cdef void room(self) noexcept
    cdef void shut(self) noexcept

cdef struct News:
    # What a critical section found out that others must hear; told after the lock. Both references are owned.
    PyObject* consumer
    PyObject* producer
    bint arrived
    bint lane_arrived

cdef inline void no_news(News* news) noexcept nogil:
    # Before a section: nothing to tell.
    news.consumer = news.producer = NULL
    news.arrived = news.lane_arrived = False

cdef int tell(News* news) except -1
