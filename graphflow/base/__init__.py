"""Errors, events and argument checks: what every other part uses, and what knows nothing of graphs."""
