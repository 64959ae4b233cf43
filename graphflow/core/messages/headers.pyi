from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from typing import Any, final

@final
class Headers(Mapping[str, Any]):
    """The headers of a message: an immutable mapping with `trace_id` and `timestamp` in it.

    The trace id is made when it is first read. Iterating over the keys reads no value.
    """

    def __getitem__(self, key: str, /) -> Any: ...
    def __iter__(self) -> Iterator[str]: ...
    def __len__(self) -> int: ...
    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of `key`, or `default` where there is none."""

    def keys(self) -> KeysView[str]:
        """Return a view of the names."""

    def values(self) -> ValuesView[Any]:
        """Return a view of the values."""

    def items(self) -> ItemsView[str, Any]:
        """Return a view of the pairs of name and value."""

    def __copy__(self) -> Headers: ...

def restore_headers(values: Mapping[str, Any]) -> Headers:
    """Make Headers again from what pickle kept."""
