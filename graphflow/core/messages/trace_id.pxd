# Trace ids, made and checked. See trace_id.pyx.

cdef str new_trace_id()
cdef str checked_trace(object value)
cdef str trace_in(object traceparent)
