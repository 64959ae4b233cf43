"""The judgement of the soak: growth and decay are found in noise, and noise alone is not taken for them."""

from __future__ import annotations

import random

import pytest
from growth import LIMITS, Sample, trend_of, trends_of

MIB = 2**20


def samples(
    rng: random.Random, *, heap: float = 0.0, rss: float = 0.0, blocks: float = 0.0, slows: float = 0.0
) -> list[Sample]:
    """240 samples that are noisy and, along the run, change by these shares of their level."""
    found, handled, cpu = [], 0.0, 0.0
    for number in range(240):
        past = number / 239
        speed = 50_000 * (1 - slows * past) * rng.uniform(0.8, 1.2)
        if rng.random() < 0.05:
            speed /= 4  # somebody else's turn
        handled, cpu = handled + speed, cpu + 1.0
        burst = 3 * MIB if rng.random() < 0.1 else 0  # a moment of large buffers
        found.append(
            Sample(
                number,
                int(handled),
                cpu,
                int(40 * MIB * (1 + heap * past) + burst + rng.gauss(0, MIB / 10)),
                int(120 * MIB * (1 + rss * past) + burst + rng.gauss(0, MIB / 2)),
                int(200_000 * (1 + blocks * past) + rng.gauss(0, 500)),
            )
        )
    return found


def looks(rng: random.Random, blocks_a_second: float) -> list[Sample]:
    """What the blocks of a soak of ten minutes were seen to be, a look a second, and a leak in them."""
    found = []
    for number in range(480):
        in_flight = rng.gauss(0, 40) if rng.random() < 0.8 else rng.gauss(0, 400)
        blocks = round(89_440 + in_flight + blocks_a_second * number)
        found.append(Sample(number, 6_000 * number, 0.4 * number, 4_800_000, 32_473_088, blocks))
    return found


def broken(found: list[Sample]) -> set[str]:
    return {name for name, trend in trends_of(found).items() if trend.broken}


@pytest.mark.parametrize("number", range(20))
def test_noise_alone_breaks_nothing(rng: random.Random, number: int) -> None:
    assert broken(samples(rng)) == set()


@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize("name", ["heap", "rss", "blocks"])
def test_growth_is_found(rng: random.Random, name: str, number: int) -> None:
    assert broken(samples(rng, **{name: 0.12})) == {name}


@pytest.mark.parametrize("number", range(20))
def test_a_leak_of_one_block_a_second_is_found_in_ten_minutes(rng: random.Random, number: int) -> None:
    assert broken(looks(rng, 1.0)) == {"blocks"}
    assert broken(looks(rng, 0.0)) == set()


@pytest.mark.parametrize("number", range(5))
def test_decay_is_found(rng: random.Random, number: int) -> None:
    assert broken(samples(rng, slows=0.5)) == {"rate"}


def test_what_shrinks_or_gets_faster_is_in_order(rng: random.Random) -> None:
    assert broken(samples(rng, heap=-0.3, rss=-0.3, blocks=-0.3, slows=-0.5)) == set()


def test_growth_in_the_warm_up_does_not_count() -> None:
    values = [min(number, 60) * MIB for number in range(240)]
    assert not trend_of(LIMITS["heap"], values).broken


def test_a_step_late_in_the_run_counts() -> None:
    values = [40.0 * MIB if number < 150 else 80.0 * MIB for number in range(240)]
    assert trend_of(LIMITS["heap"], values).change > 10 * MIB


def test_a_trend_needs_enough_samples() -> None:
    with pytest.raises(ValueError, match="10 samples are too few"):
        trend_of(LIMITS["heap"], [1.0] * 10)


def test_a_trend_says_what_it_found() -> None:
    text = str(trend_of(LIMITS["heap"], [float(number) * MIB for number in range(240)]))
    assert text.startswith("live heap, bytes: FAILS: about ")
    assert "allowed" in text
