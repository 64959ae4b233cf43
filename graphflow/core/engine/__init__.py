"""The engine: builds the cells of a run and runs them on the threads that it is lent."""
