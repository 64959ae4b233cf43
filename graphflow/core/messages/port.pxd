# Ports and what may pass through them. See port.pyx.

cdef enum:
    CHECK_NONE = 0       # no schema: everything passes
    CHECK_INSTANCE = 1   # isinstance(value, types)
    CHECK_PYTHON = 2     # checker(value)


cdef class PortSpec:
    # Nothing changes after construction.
    cdef readonly str name
    cdef readonly object schema
    cdef readonly object policy
    cdef readonly int check_kind   # one of CHECK_*
    cdef object types              # a type or a tuple of types, for CHECK_INSTANCE
    cdef object checker            # a callable that returns bool, for CHECK_PYTHON

    cdef bint accepts(self, object value) except -1


cdef class Port:
    # Nothing changes after construction.
    cdef readonly str name
    cdef readonly object direction
    cdef readonly object index
    cdef readonly PortSpec spec
