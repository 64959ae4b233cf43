"""The scheduler, its settings, the threads of a run and the handles of its ends."""
