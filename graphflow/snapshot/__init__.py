"""Snapshots and flight recordings as values."""
