"""Pictures as text: a picture of nodes and arrows, and the languages that it is written in."""
