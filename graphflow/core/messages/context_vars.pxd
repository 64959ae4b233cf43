from graphflow.core.messages.message cimport Message

cdef extern from *:
    """
    // Without exceptions: once a turn, where each instruction counts.
    static inline bool gf_enter(PyObject *context) {
        if (PyContext_Enter(context) == 0) return true;
        PyErr_Clear();
        return false;
    }
    static inline bool gf_leave(PyObject *context) {
        if (PyContext_Exit(context) == 0) return true;
        PyErr_Clear();
        return false;
    }
    """
    # Enter a context; False if somebody is in it, which only foreign C code can bring about.
    bint enter "gf_enter" (object context) noexcept
    # Leave it again; False if it is not what this thread entered last.
    bint leave "gf_leave" (object context) noexcept

# Enter a copy of the context that the message carries along; None, and nothing is entered, if it carries none.
cdef object enter_carried(Message message)

# The item as a message that carries along the context of whoever puts it now.
cdef Message carry(object item)
