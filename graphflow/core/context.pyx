# One thread-local record for the whole core; the other modules reach it through here().

cdef extern from *:
    """
    static thread_local GfContext gf_here = {0, nullptr};
    static inline GfContext *gf_here_address() { return &gf_here; }
    """
    Context* gf_here_address() noexcept nogil


cdef Context* here() noexcept nogil:
    """The calling thread's record."""
    return gf_here_address()
