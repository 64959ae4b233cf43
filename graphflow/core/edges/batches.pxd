from graphflow.core.edges.queue cimport EdgeQueue
from libc.stdint cimport int64_t

cdef extern from *:
    """
    #ifdef Py_GIL_DISABLED
    static inline bool gf_hand_over(int64_t& handed) { return __atomic_fetch_add(&handed, 1, __ATOMIC_ACQ_REL) >= 0; }
    static inline int64_t gf_void(int64_t& handed) {
        return __atomic_exchange_n(&handed, INT64_MIN / 2, __ATOMIC_ACQ_REL);
    }
    #else
    static inline bool gf_hand_over(int64_t& handed) {
        const int64_t before = __atomic_load_n(&handed, __ATOMIC_RELAXED);
        __atomic_store_n(&handed, before + 1, __ATOMIC_RELAXED);
        return before >= 0;
    }
    static inline int64_t gf_void(int64_t& handed) {
        const int64_t before = __atomic_load_n(&handed, __ATOMIC_RELAXED);
        __atomic_store_n(&handed, INT64_MIN / 2, __ATOMIC_RELAXED);
        return before;
    }
    #endif
    """
    # The next item of the batch is about to be handled; False if the batch is void.
    bint hand_over "gf_hand_over" (int64_t& handed) noexcept
    # The batch is void from here on; how many of it were handed over.
    int64_t void_handed "gf_void" (int64_t& handed) noexcept

cdef class BatchQueue(EdgeQueue):
    cdef Py_ssize_t put_some(self, list items, Py_ssize_t first) except -1
    cdef list take_some(self, Py_ssize_t most)
    cdef Py_ssize_t claim_batch(self, list room, Py_ssize_t most) noexcept
    cdef bint release_batch(self, list room, Py_ssize_t claimed, Py_ssize_t done) except -1
    cdef void void_batch(self) noexcept
