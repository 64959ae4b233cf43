from graphflow.core.cells.flight cimport Flight, FlightCell

cdef class AsyncCell(FlightCell):
    cdef Flight feeder              # of the source
    cdef int allowance              # values that the source may still send before it asks again
    cdef bint closing               # the source is told to end

    cdef int close_source(self) except -1
