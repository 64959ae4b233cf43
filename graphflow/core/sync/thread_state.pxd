# Which scheduler's thread this is, and which node's hook it runs. Thread-local, so no lock.

cdef extern from *:
    """
    struct GfContext {
        long long scheduler;    /* token of the scheduler whose worker this thread is; 0 elsewhere */
        void *turn;             /* borrowed Cell of the hook that runs here; NULL outside hooks */
        void *call;             /* borrowed Call that keeps what the hook emits; NULL where it is sent at once */
        int worker;             /* the worker's row in the flight recorder; -1 elsewhere */
        int asking;             /* merge functions, policies and key comparisons that run on this thread */
        void *actor;            /* borrowed Actor where this thread is part of a simulation; else NULL */
        long long looked_ns;    /* when this thread last looked whether another wants the GIL, between two turns */
        void *abandoning;       /* borrowed edge where this thread stops a wait for a loop that is closed; else NULL */
    };
    """
    ctypedef struct Context "GfContext":
        long long scheduler
        void* turn
        void* call
        int worker
        int asking
        void* actor
        long long looked_ns
        void* abandoning

cdef Context* here() noexcept nogil
cdef void breathe(Context* context, long long now_ns) noexcept
