"""Ports, and the specs that say which values may pass through them.

A schema is looked at once, when the spec is made: most end up as plain types, for which a check
is one isinstance() from C. How annotations become checks is told in graphflow.core.messages.schema.
"""

import enum

from cpython.unicode cimport PyUnicode_FromObject

from graphflow.core.messages.schema import compile_schema, is_compatible


class PortDirection(enum.Enum):
    """Which way messages pass through a port, seen from its node."""

    INPUT = "input"
    OUTPUT = "output"


cdef object INPUT_SIDE = PortDirection.INPUT
cdef object OUTPUT_SIDE = PortDirection.OUTPUT


def plain_text(text):
    """The characters of a str as a plain one, whatever a subclass (a StrEnum, say) says that it is; anything else as
    it is."""
    return PyUnicode_FromObject(text) if isinstance(text, str) else text


def check_name(what, name):
    """Return `name` if it may name a `what` ("port", "node", ...).

    Names are parts of edge ids, so they hold no ":", "/" or "->". Raises TypeError for what is
    not a str, ValueError for a name that is empty, holds one of these or cannot be written down.
    """
    if not isinstance(name, str):
        raise TypeError(f"a {what}'s name must be a str, not {name!r}")
    name = plain_text(name)
    if not name:
        raise ValueError(f"a {what}'s name must not be empty")
    for mark in (":", "/", "->"):
        if mark in name:
            raise ValueError(f"a {what}'s name must not hold {mark!r}, as {name!r} does")
    try:
        name.encode()
    except UnicodeEncodeError:      # else it would break every exporter, each time
        raise ValueError(f"a {what}'s name must not hold half a surrogate pair, as {name!r} does") from None
    return name


cdef class PortSpec:
    """A port's name, what may pass through it, and the policy its edges have by default.

    `schema` is None (everything passes), a type, a tuple of types, an annotation, a pydantic model
    or a `TypeAdapter`. Values are checked by isinstance, so True passes for int; generics are
    checked by their origin, so `list[int]` takes any list. A value is never converted.
    `policy` is None or an object with `on_enqueue`. Raises TypeError or ValueError for arguments
    that are not as described.
    """

    def __cinit__(self, name, schema=None, policy=None):
        self.name = check_name("port", name)
        if policy is not None and (isinstance(policy, type) or not callable(getattr(policy, "on_enqueue", None))):
            raise TypeError(
                f"port {name!r}: policy must be None or have an on_enqueue method, not {policy!r}"
            )
        self.schema = schema
        self.policy = policy
        try:
            types, self.checker = compile_schema(schema)
        except TypeError as error:
            raise TypeError(f"port {name!r}: {error}") from None
        if types is not None:
            self.check_kind = CHECK_INSTANCE
            # isinstance() of one type is quicker than of a tuple of one.
            self.types = types[0] if len(types) == 1 else types
        elif self.checker is not None:
            self.check_kind = CHECK_PYTHON
        else:
            self.check_kind = CHECK_NONE

    cdef bint accepts(self, object value) except -1:
        """Whether `value` matches the schema; raises what a check of the user's own raises."""
        if self.check_kind == CHECK_NONE:
            return True
        if self.check_kind == CHECK_INSTANCE:
            return isinstance(value, self.types)
        return bool(self.checker(value))

    def validate(self, value):
        """Say whether `value` may pass. An error inside a user's own validator is raised."""
        return self.accepts(value)

    def compatible_with(self, PortSpec other not None):
        """Say whether whatever this spec lets out the spec `other` lets in.

        Everything fits where one of the two has no schema.
        """
        return is_compatible(self.schema, other.schema)

    def __eq__(self, other):
        if not isinstance(other, PortSpec):
            return NotImplemented
        return (
            self.name == other.name
            and self.schema == other.schema
            and self.policy == other.policy
        )

    def __hash__(self):
        # By name only: a schema or a policy need not be hashable.
        return hash(("PortSpec", self.name))

    def __repr__(self):
        schema = "" if self.schema is None else f", schema={self.schema!r}"
        policy = "" if self.policy is None else f", policy={self.policy!r}"
        return f"PortSpec({self.name!r}{schema}{policy})"

    def __reduce__(self):
        return (type(self), (self.name, self.schema, self.policy))


cdef class Port:
    """An endpoint of a node: a name, a direction, a place among its like, and a spec.

    `index` counts from 0, or is None while nobody has placed the port. Raises TypeError or
    ValueError for arguments that are not as described.
    """

    def __cinit__(self, name, direction, index=None, spec=None):
        self.name = check_name("port", name)
        if direction is not INPUT_SIDE and direction is not OUTPUT_SIDE:
            raise TypeError(
                f"port {name!r}: direction must be PortDirection.INPUT or .OUTPUT, "
                f"not {direction!r}"
            )
        if index is not None:
            if isinstance(index, bool) or not isinstance(index, int):
                raise TypeError(f"port {name!r}: index must be None or an int, not {index!r}")
            if index < 0:
                raise ValueError(f"port {name!r}: index must be 0 or more, not {index!r}")
        if spec is not None and not isinstance(spec, PortSpec):
            raise TypeError(f"port {name!r}: spec must be None or a PortSpec, not {spec!r}")
        self.direction = direction
        self.index = index
        self.spec = spec

    def is_input(self):
        """Say whether messages enter the node here."""
        return self.direction is INPUT_SIDE

    def is_output(self):
        """Say whether messages leave the node here."""
        return self.direction is OUTPUT_SIDE

    def __eq__(self, other):
        if not isinstance(other, Port):
            return NotImplemented
        return (
            self.name == other.name
            and self.direction is other.direction
            and self.index == other.index
            and self.spec == other.spec
        )

    def __hash__(self):
        return hash((self.name, self.direction, self.index))

    def __repr__(self):
        index = "" if self.index is None else f", index={self.index}"
        spec = "" if self.spec is None else f", spec={self.spec!r}"
        return f"Port({self.name!r}, {self.direction}{index}{spec})"

    def __reduce__(self):
        return (type(self), (self.name, self.direction, self.index, self.spec))
