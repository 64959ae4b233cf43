# One thread-local record for the whole core; the other modules reach it through here().

cdef extern from *:
    """
    #include <cstdlib>      /* defines __GLIBC__ where it is */
    #if defined(__GLIBC__)  /* fixed place in the thread's own block: no call and no allocation on first use */
    #define GF_TLS_MODEL __attribute__((tls_model("initial-exec")))
    #else
    #define GF_TLS_MODEL
    #endif
    static thread_local GF_TLS_MODEL GfContext gf_here = {0, nullptr, nullptr, -1, 0, nullptr, 0, nullptr};
    static inline GfContext *gf_here_address() { return &gf_here; }
    """
    Context* gf_here_address() noexcept nogil


cdef Context* here() noexcept nogil:
    """The calling thread's record."""
    return gf_here_address()
