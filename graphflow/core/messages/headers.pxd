# The headers of a message. See headers.pyx.

cdef class Headers:
    # Every field but `trace` is set before anybody else sees the object and never after.
    cdef dict extra       # what the user gave besides trace_id and timestamp, or None
    cdef str trace        # the id, None until it is first read; only a root's is used
    cdef Headers root     # the Headers that hold the id for this one, None in a root
    cdef double stamp     # seconds since the epoch
    cdef object carried   # the putter's contextvars.Context where that is carried along, else None (context_vars.pyx)


# Headers of their own with what the mapping `given` holds, over what `parent` (or None) holds; `stamp` unless
# a timestamp is given. Raises TypeError or ValueError for what may not be a header.
cdef Headers make_headers(double stamp, Headers parent, object given)

# The same headers, with a context carried along.
cdef Headers headers_carrying(Headers headers, object context)

# The id that `headers` and all its relatives share, made on the first call.
cdef str trace_of(Headers headers)
