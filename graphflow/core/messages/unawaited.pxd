# What a function or a hook has returned and nobody would ever run. See unawaited.pyx.

cdef extern from *:
    """
    /* Two loads and two tests, none of them a call: cheap enough to look at every value that is sent. */
    static inline int gf_awaitable(PyObject *value) {
        const PyAsyncMethods *methods = Py_TYPE(value)->tp_as_async;
        return methods != NULL && methods->am_await != NULL;
    }
    """
    bint awaitable "gf_awaitable" (object value) noexcept

cdef int refuse_unrun(object value, str what, str advice) except -1
cdef int refuse_result(object value, str path, object function) except -1
cdef int refuse_of_hook(object value, str hook, str path, bint generators) except -1
cdef int refuse_awaitable(object value, str what) except -1
cdef object not_a_value(object value, str path)
cdef object closed(object value)
