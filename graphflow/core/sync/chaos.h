// Threads that give way where they rarely do: in builds with GRAPHFLOW_CHAOS=1, before each critical section.
//
// A place is a call site. GRAPHFLOW_CHAOS_SEED makes half of the places hot, and at a hot one a thread gives way three
// times in sixteen and sleeps for 20 to 275 microseconds once in sixteen, without the GIL. (The same small chance
// everywhere finds nothing: the odd thread must meet the others at few places, often.) Real threads do not repeat
// themselves exactly; a seed only bends the odds. For exact repetition there is the simulation.
#pragma once
#include <Python.h>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <thread>

static inline uint64_t gf_mix(uint64_t word) {      // splitmix64
    word += 0x9E3779B97F4A7C15ull;
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9ull;
    word = (word ^ (word >> 27)) * 0x94D049BB133111EBull;
    return word ^ (word >> 31);
}

static inline uint64_t gf_chaos_seed() {
    static const char* given = std::getenv("GRAPHFLOW_CHAOS_SEED");
    static const uint64_t seed = given ? std::strtoull(given, nullptr, 10) : 1;
    return seed;
}

static inline uint64_t gf_chaos_draw() {
    static std::atomic<uint64_t> threads{0};
    thread_local uint64_t state = gf_mix(gf_chaos_seed() ^ (++threads << 32));
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

// Where a library lies differs from run to run, how far a place is from this function does not.
__attribute__((noinline)) static void gf_chaos_here() {
    const uint64_t place = (uint64_t)(uintptr_t)__builtin_return_address(0) - (uint64_t)(uintptr_t)&gf_chaos_here;
    if (gf_mix(place ^ gf_chaos_seed()) & 1) return;
    const unsigned draw = gf_chaos_draw() % 16;
    if (draw > 3) return;
    Py_BEGIN_ALLOW_THREADS
    if (draw == 0) std::this_thread::sleep_for(std::chrono::microseconds(20 + gf_chaos_draw() % 256));
    else std::this_thread::yield();
    Py_END_ALLOW_THREADS
}
#define GF_CHAOS() gf_chaos_here()
