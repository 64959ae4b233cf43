from collections.abc import Iterable

from graphflow.core.metrics.distribution import Distribution

def distribution_of(durations_ns: Iterable[int]) -> Distribution:
    """The Distribution of some durations in nanoseconds, as the core would record them; for tests of its quantiles."""
