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

cdef enum:
    BREATH_NS = 50_000      # between two looks, at least: a look takes 50 ns, so it costs a thousandth

# Compiled by the interpreter, not by Cython: its first instruction is one at which the interpreter looks for requests.
cdef object interpret = eval("lambda: None")


cdef Context* here() noexcept nogil:
    """The calling thread's record."""
    return gf_here_address()


cdef void breathe(Context* context, long long now_ns) noexcept:
    """Let another thread have the GIL if one has asked for it: a graph whose functions are all in C never runs the
    interpreter, which is what looks for such requests (on a build without the GIL, for a collector that waits).

    A thread asks after it has waited for a switch interval in which nobody let the GIL go. So one that lets it go
    unasked, and has it back before the one it woke is awake, starves the others: it sets their intervals back for
    ever. Where nobody asks, the GIL is kept."""
    if now_ns - context.looked_ns > BREATH_NS:
        context.looked_ns = now_ns
        interpret()     # an asynchronous exception that strikes here came too late for its handler: it is unraisable
