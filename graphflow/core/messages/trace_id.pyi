from collections.abc import Callable

def set_id_source(source: Callable[[], int] | None) -> None:
    """Take trace ids from `source`, a callable that returns a 128-bit int; None restores random.

    Raises TypeError when `source` is neither callable nor None.
    """
