"""Edges: bounded queues between nodes, with their policies and those who wait at them."""
