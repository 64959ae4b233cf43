# Bugs on purpose, to see that the simulation finds them (tests/sim). A build with GRAPHFLOW_PLANTS=1 has the one that
# the environment variable GRAPHFLOW_PLANT names; in every other build each of these tests is the constant False.

cdef extern from *:
    """
    #if GRAPHFLOW_PLANTS
    #include <cstdlib>
    #include <cstring>
    static inline bool gf_planted(const char* name) {
        const char* wanted = std::getenv("GRAPHFLOW_PLANT");
        return wanted != nullptr && std::strcmp(wanted, name) == 0;
    }
    #else
    #define gf_planted(name) false
    #endif
    """
    bint planted "gf_planted" (const char* name) noexcept nogil
