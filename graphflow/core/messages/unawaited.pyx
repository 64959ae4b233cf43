# What a function or a hook has returned and nobody would ever run: an awaitable where nothing awaits, a generator where
# nothing iterates. It looks like any other value (it is true, it can be sent), so the work in it would be left undone
# without a word; here it is an error of the node's, which says what to do.
#
# The look itself is inline, in the declarations, and comes before the words for it are put together, which cost more
# than a hop. All else here runs where something is wrong already, or once a run.

cdef extern from "Python.h":
    bint PyGen_CheckExact(object value) noexcept
    bint PyCoro_CheckExact(object value) noexcept
    bint PyAsyncGen_CheckExact(object value) noexcept

cdef str AS_IT_IS = "to send the awaitable itself, send Message(MessageType.DATA, it)"


cdef object closed(object value):
    """The value; a coroutine is closed, which would else warn that it was never awaited."""
    if PyCoro_CheckExact(value):
        value.close()
    return value


cdef str kind_of(object value):
    """What it is, for people; None for what does not have to be run."""
    if PyCoro_CheckExact(value):
        return "a coroutine"
    if awaitable(value):
        return f"an awaitable of type {type(value).__name__}"
    if PyAsyncGen_CheckExact(value):
        return "an async generator"
    return "a generator" if PyGen_CheckExact(value) else None


cdef int refuse_unrun(object value, str what, str advice) except -1:
    """TypeError if `what`, which is whose value it is, has left work undone."""
    cdef str kind = kind_of(value)
    if kind is not None:
        closed(value)
        raise TypeError(f"{what} returned {kind}, which nobody runs: {advice}")
    return 0


cdef int refuse_awaitable(object value, str what) except -1:
    """TypeError if `what` has returned an awaitable: it is a function of an edge's, which is called, never awaited."""
    if awaitable(value):
        refuse_unrun(value, what, "make it a plain function")
    return 0


cdef int refuse_result(object value, str path, object function) except -1:
    """The same for what the function of a node has returned, which may be for each message: so it looks first, and then
    finds words."""
    if kind_of(value) is None:
        return 0
    return refuse_unrun(
        value, f"the function {function!r} of node {path!r}",
        "give the node the `async def` itself, or await (of a generator: iterate) in the function"
    )


def check_result(value, path, function):
    """The same from Python."""
    refuse_result(value, path, function)


cdef int refuse_of_hook(object value, str hook, str path, bint generators) except -1:
    """The same for what a hook of a node without an event loop has returned; `generators`: also for those."""
    if PyGen_CheckExact(value):
        if generators:
            raise TypeError(f"{hook} of node {path!r} returned a generator, which nobody runs: send with emit()")
        return 0
    cdef str kind = kind_of(value)
    if kind is not None:
        closed(value)
        raise TypeError(
            f"{hook} of node {path!r} returned {kind}, but the node has no event loop to run it on: "
            f"declare the hook with async def"
        )
    return 0


cdef object not_a_value(object value, str path):
    """The error of a node that sends an awaitable."""
    cdef str kind = kind_of(value)
    closed(value)
    return TypeError(
        f"node {path!r} sends {kind} where a value is expected, and nobody awaits it: await it first, in an `async "
        f"def` (a function given to a node may be one, and so may a hook); {AS_IT_IS}"
    )
