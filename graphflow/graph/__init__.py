"""Nodes and graphs as users write them, and the plan of a run that is made of them."""
