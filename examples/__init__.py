"""Programs that use graphflow; each is a package of its own."""
