# The two ways to take one of the core's locks. See DESIGN "The core": scheduler lock before edge lock, the edge lock is
# a leaf, and while either is held nothing calls Python, allocates, drops a reference or waits for the GIL.
#
# A thread that holds the GIL must never wait for a mutex: the thread inside might be one that needs the GIL next. So it
# tries; when that fails it gives the GIL up, waits for the mutex, lets it go again (holding it while taking the GIL
# back would be the same mistake turned round) and tries anew. Threads without the GIL lock plainly, and so does nobody
# else.
#
# These are the two places where threads get in each other's way, so they are where a simulation takes over (see
# baton.pyx): `before`, where it is set, runs before a thread takes the lock holding the GIL, and lets another one go
# first; and a bell keeps count of who was rung among those that only pretend to wait. A build with GRAPHFLOW_CHAOS=1
# does the first with real threads: at places drawn by GRAPHFLOW_CHAOS_SEED they give way or sleep.

from libc.stdint cimport int64_t

cdef extern from *:
    """
    #include <chrono>
    #include <cstdio>
    #include <cstdlib>
    #include <condition_variable>
    #include <mutex>
    #include <utility>
    #if GRAPHFLOW_CHAOS
    #include "chaos.h"
    #else
    #define GF_CHAOS() ((void)0)
    #endif
    #define GF_INLINE __attribute__((always_inline))    /* so that chaos knows the call sites apart */

    struct GfLock {
        std::mutex mu;
        void (*before)() = nullptr;     /* set and cleared while no other thread uses the lock */
        void lock() { mu.lock(); }
        void unlock() { mu.unlock(); }
        bool try_lock() { return mu.try_lock(); }
        GF_INLINE void give_way() { GF_CHAOS(); if (before) before(); }
    };
    /* A condition variable. Both counts are guarded by the lock that it goes with. Ringing it is two steps: who may go
       on is settled under the lock (ring), the thread is woken after it (wake), as it would at once want the lock. In
       between nothing is lost: who comes to the lock sees that it may go on, and does not wait. */
    struct GfBell {
        std::condition_variable cv;
        int listeners = 0;              /* threads of a simulation that wait here, each on its actor's lock */
        int rung = 0;                   /* of those, how many may go on */
        void ring() { if (rung < listeners) ++rung; }
        void wake() { cv.notify_one(); }
        void ring_all() { rung = listeners; cv.notify_all(); }
        /* Waits with the lock held by the caller and held again on return; ns < 0 waits without limit. */
        void wait(GfLock& lock, int64_t ns) {
            std::unique_lock<std::mutex> held(lock.mu, std::adopt_lock);
            if (ns < 0) cv.wait(held);
            else cv.wait_for(held, std::chrono::nanoseconds(ns));
            held.release();
        }
        void listen() { ++listeners; }
        /* A listener goes on; rung or not. */
        void leave() { --listeners; if (rung > 0) --rung; }
    };
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
    cdef cppclass Lock "GfLock":
        void (*before)() noexcept
        void lock() noexcept nogil
        void unlock() noexcept nogil
        bint try_lock() noexcept nogil
        void give_way() noexcept
    cdef cppclass Bell "GfBell":
        int listeners
        int rung
        void ring() noexcept nogil
        void wake() noexcept nogil
        void ring_all() noexcept nogil
        void wait(Lock& lock, int64_t ns) noexcept nogil
        void listen() noexcept nogil
        void leave() noexcept nogil
    const bint DEBUG "GRAPHFLOW_DEBUG"
    void require "GF_REQUIRE" (bint holds, const char* what) noexcept nogil
    T peek "gf_peek"[T](T& word) noexcept nogil
    void poke "gf_poke"[T, V](T& word, V value) noexcept nogil
    void add "gf_add"[T, V](T& word, V value) noexcept nogil

cdef inline void acquire(Lock& mu) noexcept:
    """Take `mu` while holding the GIL, without ever waiting for it there."""
    mu.give_way()
    while not mu.try_lock():
        with nogil:
            mu.lock()
            mu.unlock()
