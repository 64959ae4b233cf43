class Clock:
    """The machine's monotonic clock."""

    def now(self) -> float:
        """Seconds since an arbitrary start."""

def system_clock() -> Clock:
    """The one that every run uses which is no simulation."""
