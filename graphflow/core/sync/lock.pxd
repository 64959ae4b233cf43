# The core's two kinds of locks, and the two ways to take one. The rules (docs/architecture.md): scheduler lock before
# edge lock, the edge lock is a leaf, and while either is held nothing calls Python, allocates, drops a reference or
# waits for the GIL.
#
# The scheduler's lock is a std::mutex, as its waiters sleep on condition variables. An edge's is taken twice a message
# and hardly ever waited for, so it is one word: free, held, or held and somebody may be asleep for it. Taking and
# freeing it inline costs two thirds of what the mutex's two calls do. (The algorithm is the second mutex of U. Drepper,
# "Futexes are tricky"; the sleeping is the C++ library's. Under ThreadSanitizer it is a std::mutex, whose order of
# locking it checks.)
#
# A thread that holds the GIL must never wait for a lock: the thread inside might be one that needs the GIL next. So it
# tries; when that fails it gives the GIL up, waits for the lock, lets it go again (holding it while taking the GIL back
# would be the same mistake turned round) and tries anew. Threads without the GIL lock plainly, and so does nobody else.
#
# These are the places where threads get in each other's way, so they are where a simulation takes over (see
# simulation/interleaver.pyx): `before`, where it is set, runs before a thread takes the lock holding the GIL, and lets
# another one go first; and a bell keeps count of who was rung among those that only pretend to wait. A build with
# GRAPHFLOW_CHAOS=1 does the first with real threads: at places drawn by GRAPHFLOW_CHAOS_SEED they give way or sleep.

from libc.stdint cimport int64_t

cdef extern from *:
    """
    #include <atomic>
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
    #if defined(__SANITIZE_THREAD__)
    using GfWord = std::mutex;
    #else
    struct GfWord {
        std::atomic<int> word{0};
        bool try_lock() {
            int expected = 0;
            return word.compare_exchange_strong(expected, 1, std::memory_order_acquire, std::memory_order_relaxed);
        }
        void lock() {
            while (word.exchange(2, std::memory_order_acquire) != 0) word.wait(2, std::memory_order_relaxed);
        }
        void unlock() { if (word.exchange(0, std::memory_order_release) == 2) word.notify_one(); }
    };
    #endif
    struct GfLeafLock {
        GfWord mu;
        void (*before)() = nullptr;     /* as above */
        void lock() { mu.lock(); }
        void unlock() { mu.unlock(); }
        bool try_lock() { return mu.try_lock(); }
        GF_INLINE void give_way() { GF_CHAOS(); if (before) before(); }
    };
    /* With the GIL held: take a lock without ever waiting for it there. */
    template <typename L> GF_INLINE static inline void gf_acquire(L& lock) {
        lock.give_way();
        while (!lock.try_lock()) {
            Py_BEGIN_ALLOW_THREADS
            lock.lock();
            lock.unlock();
            Py_END_ALLOW_THREADS
        }
    }
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
    cdef cppclass LeafLock "GfLeafLock":
        void (*before)() noexcept
        void lock() noexcept nogil
        void unlock() noexcept nogil
        bint try_lock() noexcept nogil
        void give_way() noexcept
    void acquire "gf_acquire"[L](L& lock) noexcept
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
