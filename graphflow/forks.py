"""Locks that a forked child finds free, whoever held them in the parent."""

import os
import threading
import weakref

_locks: "weakref.WeakSet[threading.Lock]" = weakref.WeakSet()


def new_lock() -> threading.Lock:
    """A lock. In a forked child it is free: the thread that held it is not there."""
    lock = threading.Lock()
    _locks.add(lock)
    return lock


def _renew() -> None:
    for lock in list(_locks):
        lock._at_fork_reinit()  # type: ignore[attr-defined]  # as the standard library does with its own


os.register_at_fork(after_in_child=_renew)
