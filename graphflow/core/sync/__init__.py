"""Locks, clocks, parked threads and coroutines."""
