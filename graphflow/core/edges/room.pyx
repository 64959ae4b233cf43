# Room in an edge: storage for one more item, and ending a section that may have made room.
#
# A section only moves references, so what allocates happens between two: storage is made with no lock held, and taken
# over in a section that looks again whether it is still needed. Waiting putters go in before whoever asked for it (I3).

from graphflow.core.edges.contents cimport EdgeContents
from graphflow.core.edges.ends cimport News, no_news, tell
from graphflow.core.edges.key_index cimport KeyIndex, new_index
from graphflow.core.edges.ring cimport Ring, new_ring
from graphflow.core.sync.lock cimport acquire


cdef class EdgeRoom(EdgeContents):
    """The contents of an edge, and their storage."""

    cdef int grow(self, bint control) except -1:
        """Give the data (or the lane) storage for one more item, if it still lacks it; waiting putters go in first
        (I3)."""
        cdef Ring current = self.lane if control else self.data
        cdef Ring larger = new_ring(2 * current.size())
        cdef KeyIndex index = new_index(larger.size()) if self.index is not None and not control else None
        cdef News news
        no_news(&news)
        acquire(self.mu)
        if current.size() < larger.size() and current.count > current.mask:
            current.adopt(larger)
            if index is not None:
                self.index.adopt(index)
                self.reindex()
            if not control:
                self.room_made(&news)
        self.unlock()
        return tell(&news)

    cdef int settle(self) except -1:
        """Finish moving waiting putters in where room_made ran out of storage."""
        cdef bint again = True
        while again:
            self.grow(False)
            acquire(self.mu)
            again = self.starved()
            self.unlock()
        return 0

    cdef int unlock_and_tell(self, News* news) except -1:
        """Under the lock: end a section that may have made room."""
        cdef bint starved = self.starved()
        self.unlock()
        if starved:
            self.settle()
        return tell(news)
