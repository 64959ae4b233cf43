# Telling the two ends of an edge in a run what a critical section of its queue found out.
#
# A section notes whom it must tell in News, with a reference of its own to each, so that an end which a stop removes
# meanwhile is still there to be told; an ended run ignores what it hears. It is told after the lock: an end takes the
# dispatcher's, which comes before the edge's.

from cpython.ref cimport Py_DECREF


cdef class EdgeEnd:
    cdef void arrived(self, bint control) noexcept:
        """Items came into a queue that was seen empty."""

    cdef void room(self) noexcept:
        """There is room in a queue that was seen full."""

    cdef void shut(self) noexcept:
        """The queue was closed."""


cdef int tell(News* news) except -1:
    """Tell what a section found out, after it."""
    if news.consumer != NULL:
        if news.lane_arrived:
            (<EdgeEnd>news.consumer).arrived(True)
        if news.arrived:
            (<EdgeEnd>news.consumer).arrived(False)
        Py_DECREF(<object>news.consumer)
    if news.producer != NULL:
        (<EdgeEnd>news.producer).room()
        Py_DECREF(<object>news.producer)
    return 0
