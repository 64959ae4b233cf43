from cpython.object cimport PyObject
from graphflow.core.edges.room cimport EdgeRoom
from libc.stdint cimport int64_t

cdef class EdgeExpiry(EdgeRoom):
    # ---- under the lock --------------------------------------------------------------------------------------------
    cdef bint overdue(self) noexcept
    cdef Py_ssize_t sweep(self, PyObject** victims, int64_t now) noexcept

    # ---- with no lock held -----------------------------------------------------------------------------------------
    cdef int64_t expiry_wait_ns(self) noexcept
    cdef int expire(self) except -1
    cdef int expire_now(self) except -1
