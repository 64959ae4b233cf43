"""Locks that a forked child finds free, whoever held them in the parent."""

import os
import threading
import weakref
from collections.abc import Callable
from typing import Any

_locks: "weakref.WeakSet[Any]" = weakref.WeakSet()


def new_lock(make: Callable[[], Any] = threading.Lock) -> Any:
    """A lock. In a forked child it is free: the thread that held it is not there."""
    lock = make()
    _locks.add(lock)
    return lock


def _renew() -> None:
    for lock in list(_locks):
        lock._at_fork_reinit()  # as the standard library does with its own


os.register_at_fork(after_in_child=_renew)
