"""How an annotation becomes a check.

A schema is taken apart into alternatives, one of which a value has to match: plain types, checked
by isinstance, and `Check` objects for what isinstance cannot tell. A schema of nothing but types
needs no Python code at run time.

pydantic is looked for, never imported: a schema can be a pydantic model only if somebody has
imported pydantic already. No other schema is touched by it.
"""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

ALLOWED = (
    "a schema may be None, a type, a tuple of types, an annotation of types (Union, Optional, "
    "Literal, Annotated, a generic, a TypedDict, ...), a pydantic model or a TypeAdapter"
)
# Absent before 3.12.
TypeAliasType: Any = getattr(typing, "TypeAliasType", ())


@dataclass(frozen=True, slots=True)
class Check:
    """An alternative that isinstance cannot decide."""

    annotation: object
    accepts: Callable[[object], bool]
    # Everything that passes is an instance of this, so it may go where the type is accepted.
    kind: type = object
    # Every instance of this passes; None where there is no such type.
    includes: type | None = None


Alternative: TypeAlias = type | Check


def compile_schema(
    schema: object,
) -> tuple[tuple[type, ...] | None, Callable[[object], bool] | None]:
    """Return `(types, None)`, `(None, checker)`, or `(None, None)` where everything passes.

    Raises TypeError for what is not a schema.
    """
    if schema is None:
        return None, None
    found = alternatives(schema)
    if object in found:
        return None, None
    types_only = tuple(one for one in found if isinstance(one, type))
    if len(types_only) == len(found):
        return types_only, None
    return None, any_of(found)


def is_compatible(source: object, target: object) -> bool:
    """Say whether every value that matches `source` is known to match `target`.

    None and Any, on either side, fit everything.
    """
    if source is None or target is None:
        return True
    offered, accepted = alternatives(source), alternatives(target)
    if object in offered or object in accepted:
        return True
    return all(any(covers(wide, narrow) for wide in accepted) for narrow in offered)


def covers(wide: Alternative, narrow: Alternative) -> bool:
    """Say whether whatever matches `narrow` is known to match `wide`."""
    if isinstance(wide, Check) and isinstance(narrow, Check):
        if wide.annotation == narrow.annotation:
            return True
    parent = wide if isinstance(wide, type) else wide.includes
    child = narrow if isinstance(narrow, type) else narrow.kind
    if parent is None:
        return False
    try:
        return issubclass(child, parent)
    except TypeError:  # a protocol with attributes tells instances only
        return child is parent


def alternatives(schema: object) -> tuple[Alternative, ...]:
    """Take a schema apart. Raises TypeError for what is not a schema."""
    return tuple(_Reader().read(schema))


def any_of(found: tuple[Alternative, ...]) -> Callable[[object], bool]:
    """Return a function that says whether a value matches one of the alternatives."""
    plain = tuple(one for one in found if isinstance(one, type))
    checks = tuple(one.accepts for one in found if isinstance(one, Check))

    def accepts(value: object) -> bool:
        return isinstance(value, plain) or any(check(value) for check in checks)

    return accepts


class _Reader:
    """Reads one schema; remembers its TypedDicts, which may refer to themselves."""

    def __init__(self) -> None:
        self._typed_dicts: dict[type, Check] = {}

    def read(self, schema: object) -> list[Alternative]:
        """Return the alternatives of `schema`."""
        if schema is None:
            return [type(None)]
        if schema is Any:
            return [object]
        if isinstance(schema, tuple):
            return self._read_all(schema, schema)
        origin = typing.get_origin(schema)
        if origin is not None:
            return self._read_generic(schema, origin)
        union: Any = typing.Union  # a type from 3.14 on
        if isinstance(schema, type) and schema is not union:
            return [self._read_class(schema)]
        return self._read_special(schema)

    def _read_all(self, members: tuple[object, ...], schema: object) -> list[Alternative]:
        if not members:
            raise TypeError(f"{schema!r} accepts nothing: {ALLOWED}")
        return [one for member in members for one in self.read(member)]

    def _read_generic(self, schema: object, origin: object) -> list[Alternative]:
        arguments = typing.get_args(schema)
        if origin is typing.Union or origin is types.UnionType:
            return self._read_all(arguments, schema)
        if origin is typing.Literal:
            return [_literal(value) for value in arguments]
        if origin is typing.Annotated:
            return self.read(arguments[0])
        if not isinstance(origin, (type, TypeAliasType)):
            raise TypeError(f"{schema!r} is not understood: {ALLOWED}")
        return self.read(origin)

    def _read_class(self, schema: type) -> Alternative:
        if _is_typed_dict(schema):
            return self._read_typed_dict(schema)
        if _is_pydantic(schema, "main", "BaseModel"):
            return _model(schema)
        if getattr(schema, "_is_protocol", False):
            if not getattr(schema, "_is_runtime_protocol", False):
                raise TypeError(
                    f"protocol {schema.__qualname__} cannot be checked by isinstance: "
                    "put @typing.runtime_checkable on it"
                )
        return schema

    def _read_special(self, schema: Any) -> list[Alternative]:
        if isinstance(schema, typing.NewType):
            return self.read(schema.__supertype__)
        if isinstance(schema, typing.TypeVar):
            if schema.__constraints__:
                return self._read_all(schema.__constraints__, schema)
            return [object] if schema.__bound__ is None else self.read(schema.__bound__)
        if isinstance(schema, TypeAliasType):
            return self.read(schema.__value__)
        if _is_pydantic(type(schema), "type_adapter", "TypeAdapter"):
            return [_adapter(schema)]
        raise TypeError(f"{schema!r} is not understood: {ALLOWED}")

    def _read_typed_dict(self, schema: type) -> Check:
        known = self._typed_dicts.get(schema)
        if known is not None:
            return known
        fields: dict[str, Callable[[object], bool]] = {}
        required: set[str] = set(schema.__required_keys__)  # type: ignore[attr-defined]

        def accepts(value: object) -> bool:
            if not isinstance(value, dict) or not required <= value.keys():
                return False
            return all(check(value[name]) for name, check in fields.items() if name in value)

        # Known before its fields are read: one of them may be of this very type.
        check = self._typed_dicts[schema] = Check(schema, accepts, kind=dict)
        for name, hint in _hints(schema).items():
            annotation, marks = _unmarked(hint)
            # Python itself overlooks the marks of annotations that are strings.
            if "NotRequired" in marks:
                required.discard(name)
            elif "Required" in marks:
                required.add(name)
            fields[name] = any_of(tuple(self.read(annotation)))
        return check


def _hints(schema: type) -> dict[str, object]:
    try:
        return typing.get_type_hints(schema, include_extras=True)
    except NameError as error:
        raise TypeError(
            f"an annotation in {schema.__qualname__} names what cannot be found ({error}): "
            "define or import it at the top of the module"
        ) from error


def _unmarked(hint: object) -> tuple[object, set[str]]:
    """Return a TypedDict field's annotation without the marks around it, and their names."""
    marks: set[str] = set()
    while True:
        origin = typing.get_origin(hint)
        # By name: those of typing_extensions are other objects on some versions.
        mark = getattr(origin, "_name", None)
        if origin is not typing.Annotated and mark not in ("Required", "NotRequired", "ReadOnly"):
            return hint, marks
        marks.add(str(mark))
        hint = typing.get_args(hint)[0]


def _is_typed_dict(schema: type) -> bool:
    # By its marks and not by typing.is_typeddict, which does not know typing_extensions' own.
    return issubclass(schema, dict) and hasattr(schema, "__required_keys__")


def _literal(value: object) -> Check:
    kind = type(value)
    # Literal[1] is not matched by True, which equals 1.
    return Check((kind, value), lambda other: type(other) is kind and other == value, kind=kind)


def _is_pydantic(found: type, module: str, name: str) -> bool:
    base = getattr(sys.modules.get(f"pydantic.{module}"), name, None)
    return base is not None and issubclass(found, base)


def _model(model: Any) -> Check:
    def accepts(value: object) -> bool:
        return isinstance(value, model) or _passes(model.model_validate, value)

    return Check(model, accepts, kind=model, includes=model)


def _adapter(adapter: Any) -> Check:
    return Check(adapter, lambda value: _passes(adapter.validate_python, value))


def _passes(validate: Callable[[object], object], value: object) -> bool:
    # Reached through a pydantic schema only, so pydantic is there.
    from pydantic import ValidationError

    try:
        validate(value)
    except ValidationError:
        return False
    return True
