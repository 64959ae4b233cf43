# Which scheduler's thread this is, and which node's hook it runs. Thread-local, so no lock.
from cpython.object cimport PyObject

cdef extern from *:
    """
    struct GfContext {
        long long scheduler;    /* token of the scheduler whose worker this thread is; 0 elsewhere */
        void *turn;             /* borrowed Turn of the hook that runs here; NULL outside hooks */
    };
    """
    ctypedef struct Context "GfContext":
        long long scheduler
        void* turn

cdef Context* here() noexcept nogil
