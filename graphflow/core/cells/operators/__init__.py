"""Compiled operators: the loop that runs a node made of a function, and its kinds."""
