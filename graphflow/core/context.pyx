# One thread-local record for the whole core; the other modules reach it through here().

import sys

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

cdef long long switch_ns = <long long>(sys.getswitchinterval() * 1e9)


cdef Context* here() noexcept nogil:
    """The calling thread's record."""
    return gf_here_address()


cdef void breathe(Context* context, long long now_ns) noexcept:
    """Let other threads have the GIL, once a switch interval: a graph whose functions are all in C never runs the
    interpreter, which is what asks whether one of them wants it."""
    if now_ns - context.gave_way_ns > switch_ns:
        context.gave_way_ns = now_ns
        with nogil:
            pass
