"""The dispatcher: which node is ready, whose turn it is, what is due, and how a run ends."""
