# The two ways to take one of the core's locks. See DESIGN "The core": scheduler lock before edge lock, the edge lock is
# a leaf, and while either is held nothing calls Python, allocates, drops a reference or waits for the GIL.
#
# A thread that holds the GIL must never wait for a mutex: the thread inside might be one that needs the GIL next. So it
# tries; when that fails it gives the GIL up, waits for the mutex, lets it go again (holding it while taking the GIL
# back would be the same mistake turned round) and tries anew. Threads without the GIL lock plainly, and so does nobody
# else.

from libc.stdint cimport int64_t
from libcpp.condition_variable cimport condition_variable
from libcpp.mutex cimport mutex

cdef extern from *:
    """
    #include <chrono>
    #include <cstdio>
    #include <cstdlib>
    #include <condition_variable>
    #include <mutex>
    #include <utility>

    /* Waits with `mu` locked by the caller and locked again on return; ns < 0 waits without limit. */
    static inline void gf_wait(std::condition_variable& cv, std::mutex& mu, int64_t ns) {
        std::unique_lock<std::mutex> held(mu, std::adopt_lock);
        if (ns < 0) cv.wait(held);
        else cv.wait_for(held, std::chrono::nanoseconds(ns));
        held.release();
    }
    /* Relaxed peeks at a word that another thread may be changing under its lock. */
    template <typename T> static inline T gf_peek(T& word) { return __atomic_load_n(&word, __ATOMIC_RELAXED); }
    template <typename T, typename V> static inline void gf_poke(T& word, V value) {
        __atomic_store_n(&word, static_cast<T>(value), __ATOMIC_RELAXED);
    }
    /* A counter that several threads change without a lock. */
    template <typename T, typename V> static inline void gf_add(T& word, V value) {
        __atomic_fetch_add(&word, static_cast<T>(value), __ATOMIC_RELAXED);
    }
    /* GRAPHFLOW_DEBUG builds stop the process, loudly, where an invariant does not hold; others do not look. */
    #define GF_REQUIRE(holds, what) do { if (GRAPHFLOW_DEBUG && !(holds)) { \
        std::fprintf(stderr, "graphflow: invariant broken: %s (%s:%d)\\n", what, __FILE__, __LINE__); std::abort(); \
    } } while (0)
    """
    const bint DEBUG "GRAPHFLOW_DEBUG"
    void require "GF_REQUIRE" (bint holds, const char* what) noexcept nogil
    void gf_wait(condition_variable& cv, mutex& mu, int64_t ns) noexcept nogil
    T peek "gf_peek"[T](T& word) noexcept nogil
    void poke "gf_poke"[T, V](T& word, V value) noexcept nogil
    void add "gf_add"[T, V](T& word, V value) noexcept nogil

cdef inline void acquire(mutex& mu) noexcept:
    """Take `mu` while holding the GIL, without ever waiting for it there."""
    while not mu.try_lock():
        with nogil:
            mu.lock()
            mu.unlock()
