import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convload.judging.estimates import Confidences, least_samples, percentile_bounds_us, percentile_ranks, share_bounds
from convload.results.histogram import Histogram


def chance_of_at_most(hits: int, count: int, share: Fraction) -> Fraction:
    """The binomial distribution function, in fractions."""
    return sum(
        (math.comb(count, k) * share**k * (1 - share) ** (count - k) for k in range(hits + 1)), start=Fraction(0)
    )


@pytest.mark.parametrize(
    ("percent", "confidence", "least"), [(99, 0.99, 459), (99, 0.95, 299), (99.9, 0.99, 4603), (95, 0.95, 59)]
)
def test_the_fewest_samples_are_those_of_the_published_tables(percent: float, confidence: float, least: int) -> None:
    assert least_samples(percent / 100, confidence) == least
    assert percentile_ranks(least, percent, confidence)[1] == least
    assert percentile_ranks(least - 1, percent, confidence)[1] is None


@pytest.mark.parametrize("percent", [10, 50, 90, 99])
@pytest.mark.parametrize("count", [1, 2, 7, 30, 90])
@pytest.mark.parametrize("confidence", [Fraction(9, 10), Fraction(99, 100)])
def test_ranks_are_the_tightest_that_the_exact_binomial_allows(percent: int, count: int, confidence: Fraction) -> None:
    share = Fraction(percent, 100)
    upper = [r for r in range(1, count + 1) if chance_of_at_most(r - 1, count, share) >= confidence]
    lower = [r for r in range(1, count + 1) if 1 - chance_of_at_most(r - 1, count, share) >= confidence]

    low, high = percentile_ranks(count, percent, float(confidence))

    assert high == (upper[0] if upper else None)
    assert low == (lower[-1] if lower else None)


@pytest.mark.parametrize("count", [1, 3, 20, 100])
def test_bounds_of_a_share_are_where_the_exact_chance_of_the_count_is_what_is_left(count: int) -> None:
    for hits in range(0, count + 1, max(1, count // 7)):
        low, high = share_bounds(hits, count, 0.99)

        assert 0 <= low <= hits / count <= high <= 1
        assert (low == 0) == (hits == 0)
        assert (high == 1) == (hits == count)
        if hits:
            assert float(1 - chance_of_at_most(hits - 1, count, Fraction(low))) == pytest.approx(0.01, rel=1e-6)
        if hits < count:
            assert float(chance_of_at_most(hits, count, Fraction(high))) == pytest.approx(0.01, rel=1e-6)


def test_each_bound_of_a_share_holds_at_least_as_often_as_it_claims() -> None:
    count, confidence = 300, 0.95
    bounds = [share_bounds(hits, count, confidence) for hits in range(count + 1)]
    for share in (0.004, 0.03, 0.5):
        chances = [
            math.exp(
                math.lgamma(count + 1)
                - math.lgamma(hits + 1)
                - math.lgamma(count - hits + 1)
                + hits * math.log(share)
                + (count - hits) * math.log(1 - share)
            )
            for hits in range(count + 1)
        ]
        assert sum(c for c, (low, _) in zip(chances, bounds, strict=True) if low <= share) >= confidence - 1e-9
        assert sum(c for c, (_, high) in zip(chances, bounds, strict=True) if high >= share) >= confidence - 1e-9


@pytest.mark.parametrize(("percent", "z", "count"), [(50, 0.0, 40), (95, 1.6448536, 300), (99, 2.3263479, 700)])
def test_each_bound_of_a_percentile_holds_at_least_as_often_as_it_claims(percent: float, z: float, count: int) -> None:
    random, runs, confidence = np.random.default_rng(7), 1000, 0.95
    true_us = 20_000 * math.exp(0.5 * z)
    below = above = 0
    for _ in range(runs):
        times = Histogram.of((20_000 * np.exp(0.5 * random.standard_normal(count))).astype(np.int64))
        low, high = percentile_bounds_us(times, percent, Confidences(confidence, confidence))
        below += low is None or low <= true_us
        above += high is None or high >= true_us

    # Four standard deviations of the count of a true 95 %.
    least = runs * confidence - 4 * math.sqrt(runs * confidence * (1 - confidence))
    assert below >= least
    assert above >= least
    assert below < runs or above < runs


@given(st.integers(1, 10**6), st.floats(1, 99.99), st.floats(0.5, 0.999))
def test_more_confidence_never_draws_the_bounds_together(count: int, percent: float, confidence: float) -> None:
    low, high = percentile_ranks(count, percent, confidence)
    surer_low, surer_high = percentile_ranks(count, percent, (1 + confidence) / 2)

    assert surer_low is None or (low is not None and surer_low <= low)
    assert surer_high is None or (high is not None and surer_high >= high)


@given(st.lists(st.integers(0, 10**8), min_size=1, max_size=60), st.floats(1, 99))
def test_bounds_of_a_histogram_reach_as_far_as_those_of_the_samples_themselves(
    times: list[int], percent: float
) -> None:
    low_rank, _ = percentile_ranks(len(times), percent, 0.9)
    _, high_rank = percentile_ranks(len(times), percent, 0.9)

    low, high = percentile_bounds_us(Histogram.of(np.array(times)), percent, Confidences(0.9, 0.9))

    assert (low is None) == (low_rank is None)
    assert (high is None) == (high_rank is None)
    if low is not None and low_rank is not None:
        assert 0.999 * sorted(times)[low_rank - 1] - 1 <= low <= sorted(times)[low_rank - 1]
    if high is not None and high_rank is not None:
        assert sorted(times)[high_rank - 1] <= high <= 1.001 * sorted(times)[high_rank - 1] + 1
