"""Readers of a live run: snapshots, the ready queue, stalls and the current hook."""
