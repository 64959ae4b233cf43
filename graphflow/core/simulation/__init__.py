"""The interleaver: one thread at a time, chosen by a seed, and what must hold in such a run."""
