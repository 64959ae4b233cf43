"""Quantiles of the log-linear histograms stay within 5 % of the exact ones, and nothing that is recorded is lost."""

from __future__ import annotations

import itertools
import math
import random
from typing import TYPE_CHECKING

import pytest

from graphflow import Distribution
from graphflow.core.metrics.histogram import distribution_of

if TYPE_CHECKING:
    from collections.abc import Callable

SHAPES: dict[str, Callable[[random.Random], float]] = {
    "even from 20 ns to 1 us": lambda rng: rng.uniform(20, 1000),
    "exponential around 50 us": lambda rng: 16 + rng.expovariate(1 / 50_000),
    "lognormal over decades": lambda rng: 16 + rng.lognormvariate(12, 3),
    "two peaks": lambda rng: rng.gauss(1e6, 1e4) if rng.random() < 0.9 else rng.gauss(1e9, 1e7),
    "one value": lambda rng: 123_456_789,
    "hours": lambda rng: rng.uniform(1e12, 1.5e13),
}


@pytest.mark.parametrize("q", [0.0, 0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_quantile_is_within_five_percent_of_the_exact_one(rng: random.Random, shape: str, q: float) -> None:
    values = sorted(int(SHAPES[shape](rng)) for _ in range(5000))
    exact = values[max(0, math.ceil(q * len(values)) - 1)] / 1e9
    assert distribution_of(values).quantile(q) == pytest.approx(exact, rel=0.05)


def test_count_sum_least_and_most_are_exact() -> None:
    values = [1, 17, 10**6, 3 * 10**9]
    seen = distribution_of(values)
    assert (seen.count, seen.min, seen.max) == (4, 1e-9, 3.0)
    assert seen.sum == pytest.approx(sum(values) / 1e9)
    assert seen.mean == pytest.approx(sum(values) / 4e9)


def test_every_bucket_borders_on_the_next_and_is_a_sixteenth_wide_at_most() -> None:
    values = [*range(4096), *(int(1.01**power) for power in range(800, 3050))]
    buckets = distribution_of(values).buckets
    for lower, upper, _ in buckets:
        assert lower < upper
        assert upper - lower <= max(lower / 16, 1e-9) * (1 + 1e-9)
    for (_, upper, _), (lower, _, _) in itertools.pairwise(buckets):
        assert upper <= lower * (1 + 1e-9)
    assert sum(count for _, _, count in buckets) == len(values)


def test_a_value_lies_in_its_bucket() -> None:
    for power in range(44):
        for value in {2**power, 2**power - 1, 2**power + 1, 3 * 2**power // 2}:
            ((lower, upper, count),) = distribution_of([value]).buckets
            assert count == 1
            assert round(lower * 1e9) <= value < round(upper * 1e9)


def test_cumulative_counts_at_powers_of_two_are_exact(rng: random.Random) -> None:
    values = [rng.randrange(1, 2**40) >> rng.randrange(36) for _ in range(2000)]
    uppers = tuple(2**power / 1e9 for power in range(0, 44, 2))
    assert distribution_of(values).cumulative(uppers) == [
        sum(value < 2**power for value in values) for power in range(0, 44, 2)
    ]


def test_what_is_too_long_or_too_short_is_counted_in_the_outermost_buckets() -> None:
    seen = distribution_of([-5, 0, 2**50])
    assert seen.count == 3
    assert seen.max == pytest.approx(2**50 / 1e9)
    assert seen.min == 0
    assert len(seen.buckets) == 2


def test_an_empty_one_answers_zero() -> None:
    empty = Distribution(0, 0.0, 0.0, 0.0, ())
    assert (empty.mean, empty.quantile(0.99), empty.cumulative((1.0,))) == (0.0, 0.0, [0])
    assert empty.to_dict()["p99"] == 0.0


@pytest.mark.parametrize("q", [-0.1, 1.1, math.nan])
def test_a_share_that_is_none_is_refused_by_name(q: float) -> None:
    with pytest.raises(ValueError, match=r"q must be from 0 to 1, not"):
        distribution_of([1]).quantile(q)
