"""Validation: every check of a graph, of a node and of its settings."""
