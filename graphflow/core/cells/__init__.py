"""Cells: nodes in a run, what a turn inside one does, and what it sends."""
