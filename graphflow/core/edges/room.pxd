from graphflow.core.edges.contents cimport EdgeContents
from graphflow.core.edges.ends cimport News

cdef class EdgeRoom(EdgeContents):
    # ---- with no lock held -----------------------------------------------------------------------------------------
    cdef int grow(self, bint control) except -1
    cdef int settle(self) except -1

    # ---- under the lock, which it lets go --------------------------------------------------------------------------
    cdef int unlock_and_tell(self, News* news) except -1
