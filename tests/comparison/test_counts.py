"""The test of failures, against SciPy's and in simulations with generators of its own."""

from collections.abc import Callable

import numpy as np
import pytest
from bench.comparison_power import RATE, sample_of
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from tests.comparison.conftest import batch

from convload.comparison.counts import Failures, compare_shares, difference_bounds, fisher_p
from convload.comparison.outcomes import REGRESSED, SAME, UNKNOWN, Rule, judge
from convload.comparison.samples import Floats, Sample
from convload.comparison.within import compare_batches
from convload.comparison.worth import Pair, dependences

Fail = Callable[[np.random.Generator, int], Floats]
"""Makes how many requests failed in each of so many seconds."""


def sample(failed: Floats | list[float], rate: int = RATE, strata: list[str] | None = None) -> Sample:
    names = strata or [""] * len(failed)
    return Sample(
        [batch([20.0] * (rate - int(many)), int(many), stratum=name) for many, name in zip(failed, names, strict=True)]
    )


def spread_evenly(failures: int, seconds: int, seed: int = 1) -> Floats:
    return np.random.default_rng(seed).multinomial(failures, np.full(seconds, 1 / seconds)).astype(float)


def independent(chance: np.random.Generator, seconds: int) -> Floats:
    return chance.binomial(RATE, 0.01, seconds).astype(float)


def rare(chance: np.random.Generator, seconds: int) -> Floats:
    return chance.binomial(RATE, 0.001, seconds).astype(float)


def bursts(chance: np.random.Generator, seconds: int) -> Floats:
    """A burst of ten in every tenth second, each within its second."""
    return np.array(
        [min(RATE, sum(chance.geometric(0.1) for _ in range(chance.poisson(0.1)))) for _ in range(seconds)], float
    )


def outages(chance: np.random.Generator, seconds: int) -> Floats:
    """An outage every half minute, in which half of all requests fail for five seconds or so."""
    failed, at_s = np.zeros(seconds), -30.0
    while (at_s := at_s + chance.exponential(30)) < seconds:
        ends_s = at_s + chance.exponential(5)
        for second in range(max(0, int(at_s)), min(seconds, int(ends_s) + 1)):
            share = min(second + 1, ends_s) - max(second, at_s)
            failed[second] = min(RATE, failed[second] + chance.binomial(int(RATE * max(share, 0)), 0.5))
    return failed


def good_and_bad_times(chance: np.random.Generator, seconds: int) -> Floats:
    """Gilbert's channel: a bad state of some three seconds, in which twenty times as many fail."""
    bad, failed = False, np.zeros(seconds)
    for second in range(seconds):
        bad = chance.random() < (0.7 if bad else 0.1)
        failed[second] = chance.binomial(RATE, 0.04 if bad else 0.002)
    return failed


def effect(base: Sample, new: Sample) -> float:
    return max(one.effect for one in dependences(Pair(base, new), "errors"))


def p_of(base: Floats, new: Floats) -> float:
    return compare_shares(Pair(sample_of(base), sample_of(new)), 0.99, 0.98)[1]


@given(st.integers(0, 60), st.integers(0, 400), st.integers(0, 60), st.integers(0, 400))
def test_without_bursts_the_test_is_fishers(hits1: int, more1: int, hits2: int, more2: int) -> None:
    count1, count2 = hits1 + more1 + 1, hits2 + more2 + 1
    table = [[hits2, count2 - hits2], [hits1, count1 - hits1]]
    tails = [stats.fisher_exact(table, alternative).pvalue for alternative in ("less", "greater")]

    assert fisher_p(Failures(hits1, count1), Failures(hits2, count2)) == pytest.approx(min(1, 2 * min(tails)), rel=1e-6)


@pytest.mark.parametrize("sizes", [(2000, 2000), (3000, 2000), (1000, 4000)])
@pytest.mark.parametrize("confidence", [0.99, 0.9995])
@pytest.mark.parametrize("known", [0, 1, 3, 10])
def test_the_interval_leaves_out_0_where_the_test_rejects(
    sizes: tuple[int, int], confidence: float, known: int
) -> None:
    base = Failures(known, sizes[0])
    sides = [(hits, Failures(hits, sizes[1])) for hits in range(known, 300) if hits / sizes[1] > base.share]
    by_test = next(hits for hits, new in sides if fisher_p(base, new) <= 1 - confidence)
    by_interval = next(hits for hits, new in sides if difference_bounds(base, new, confidence)[0] > 0)

    assert 0 <= by_test - by_interval <= 1


def test_failures_that_are_spread_evenly_are_a_difference() -> None:
    base, new = sample([0.0] * 15), sample(spread_evenly(26, 15), rate=136)

    found = compare_batches({"create": base.batches}, {"create": new.batches}, Rule(0.99))

    errors = next(one for one in found if one.statistic == "errors")
    assert errors.outcome == REGRESSED
    assert errors.p is not None
    assert errors.p < 1e-6


def test_as_many_failures_in_one_second_are_one_event() -> None:
    base, new = sample([0.0] * 15), sample([26.0] + [0.0] * 14, rate=136)

    found = compare_batches({"create": base.batches}, {"create": new.batches}, Rule(0.99))

    errors = next(one for one in found if one.statistic == "errors")
    assert effect(base, new) == pytest.approx(26, rel=0.15)
    assert (errors.outcome, errors.p) == (UNKNOWN, 1.0)


def test_a_burst_counts_once_also_where_it_lasts_for_seconds() -> None:
    quiet, loud = np.zeros(60), np.zeros(60)
    loud[20:26] = 15

    assert p_of(quiet, loud) > 0.1


def test_stages_with_shares_of_their_own_are_no_bursts() -> None:
    chance = np.random.default_rng(1)
    failed = np.concatenate([chance.binomial(RATE, share, 30) for share in (0.001, 0.1)])
    stages = ["low"] * 30 + ["high"] * 30

    apart, mixed = sample(failed, strata=stages), sample(failed)
    assert effect(apart, apart) < 2 < effect(mixed, mixed)


def test_a_difference_between_the_sides_is_no_burst() -> None:
    chance = np.random.default_rng(2)
    sides = [sample(chance.binomial(RATE, share, 60).astype(float)) for share in (0.001, 0.1)]

    assert effect(*sides) < 2


@pytest.mark.parametrize("fail", [independent, rare, bursts, outages, good_and_bad_times])
def test_equal_sides_raise_no_more_false_alarms_than_allowed(fail: Fail) -> None:
    """At most alpha, and what so many pairs may show by chance once in a thousand."""
    chance, pairs = np.random.default_rng(5), 300
    found = [p_of(fail(chance, 60), fail(chance, 60)) for _ in range(pairs)]

    for alpha in (0.05, 0.01):
        assert sum(p <= alpha for p in found) <= stats.binom.ppf(0.999, pairs, alpha)


@pytest.mark.parametrize(("shares", "least"), [((0.0, 0.003), 0.95), ((0.001, 0.004), 0.6), ((0.01, 0.02), 0.95)])
def test_a_real_difference_is_found_in_most_pairs(shares: tuple[float, float], least: float) -> None:
    chance = np.random.default_rng(6)

    found = [p_of(*(chance.binomial(RATE, share, 60).astype(float) for share in shares)) <= 0.001 for _ in range(100)]

    assert np.mean(found) >= least


def test_no_errors_on_both_sides_rule_out_only_what_the_samples_can() -> None:
    few, many = (compare_shares(Pair(sample([0.0] * s), sample([0.0] * s)), 0.999, 0.98)[0] for s in (10, 60))

    assert few.difference == many.difference == 0.0
    assert few.near_high > 0.1 > many.near_high > 0


def test_shares_that_differ_by_the_minimum_are_hardly_ever_called_the_same() -> None:
    chance, rule, pairs = np.random.default_rng(7), Rule(0.99), 200
    apart, equal = (
        [
            judge("errors", 0.5, compare_shares(Pair(base, new), rule.each(5), rule.one_sided)[0], rule.minimum)
            for _ in range(pairs)
            for base, new in [[sample_of(chance.binomial(2000, share, 300), 2000) for share in (0.005, 0.005 + more)]]
        ]
        for more in (0.001, 0.0)
    )

    assert apart.count(SAME) <= stats.binom.ppf(0.999, pairs, 0.01)
    assert equal.count(SAME) >= 0.8 * pairs
