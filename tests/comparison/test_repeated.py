import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from tests.comparison.conftest import batch

from convload.comparison.batches import Batch
from convload.comparison.outcomes import REGRESSED, SAME, UNKNOWN, Difference, Rule
from convload.comparison.repeated import Values, compare_repeats, midranks, runs_needed, smallest_p, together, u_counts

Run = dict[str, list[Batch]]


def run(median_ms: float, rate: int = 300) -> Run:
    spread = np.linspace(0.8, 1.2, rate)
    return {"create": [batch(median_ms * spread) for _ in range(3)]}


def compared(base: list[float], new: list[float], confidence: float = 0.95) -> dict[str, Difference]:
    found = compare_repeats([run(one) for one in base], [run(one) for one in new], Rule(confidence))
    return {one.statistic: one for one in found}


def test_four_runs_a_side_find_a_clear_difference_in_all_statistics_together() -> None:
    found = compared([20, 20.3, 19.8, 20.1], [22.4, 22.1, 22.6, 22.2])

    assert found["p50"].outcome == REGRESSED
    assert found["p50"].p == pytest.approx(2 / 70, abs=1e-6)
    assert found["p50"].difference == pytest.approx(2.25, abs=0.1)
    assert found["rate"].outcome == SAME


def test_runs_that_overlap_are_no_difference_where_the_shift_is_bounded() -> None:
    found = compared([20, 20.3, 19.8, 20.1], [20.2, 19.9, 20.05, 20.15])

    assert found["p50"].outcome == SAME


def test_a_shift_that_too_few_runs_bound_cannot_be_told() -> None:
    assert compared([20, 26, 19, 24], [21, 25, 20.5, 27])["p50"].outcome == UNKNOWN


def test_three_runs_a_side_say_how_many_it_takes() -> None:
    found = compared([20, 20, 20], [30, 30, 30])

    assert found["p50"].outcome == UNKNOWN
    assert found["p50"].why == "3 and 3 runs reach p = 0.1 at best; 95 % need 4 a side"
    assert found["p50"].difference == pytest.approx(10, rel=0.01)


def test_the_smallest_p_is_that_of_all_runs_of_a_side_above_the_other() -> None:
    assert smallest_p(4, 4) == pytest.approx(stats.mannwhitneyu([1, 2, 3, 4], [5, 6, 7, 8], method="exact").pvalue)
    assert (runs_needed(0.95), runs_needed(0.99)) == (4, 5)


def test_a_percentile_that_one_run_does_not_support_cannot_be_told() -> None:
    runs = [run(20) for _ in range(4)]
    found = compare_repeats(runs, [*runs[:3], run(20, rate=50)], Rule(0.95))

    assert {one.statistic: one.why for one in found if one.low is None} == {"p99": "needs 299 samples in every run"}


@settings(max_examples=20)
@given(st.integers(1, 7), st.integers(1, 7))
def test_the_null_distribution_of_u_is_scipys(base: int, new: int) -> None:
    ours = np.cumsum(u_counts(base, new)) / math.comb(base + new, base)

    for u in range(base * new + 1):
        below = list(range(base))  # any two samples do: only the sizes matter to the distribution
        peer = stats.mannwhitneyu(below, list(range(100, 100 + new)), alternative="less", method="exact").pvalue
        if u == 0:
            assert ours[u] == pytest.approx(peer)
    assert ours[-1] == pytest.approx(1)
    assert u_counts(base, new) == pytest.approx(u_counts(new, base)[::1])


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30))
def test_ranks_with_ties_are_scipys(values: list[int]) -> None:
    assert midranks([float(value) for value in values]) == pytest.approx(stats.rankdata(values))


@given(st.permutations(range(10)))
def test_p_of_a_single_statistic_is_mann_and_whitneys(order: list[int]) -> None:
    base, new = [float(one) for one in order[:5]], [float(one) for one in order[5:]]

    peer = stats.mannwhitneyu(base, new, method="exact").pvalue

    assert together([Values("create", "p50", base, new)]) == [pytest.approx(peer)]


def test_many_statistics_raise_no_more_false_alarms_together_than_one() -> None:
    chance = np.random.default_rng(1)
    alarms = 0
    for _ in range(400):
        # Five statistics of the same runs, which go together as percentiles do.
        common = chance.normal(size=(1, 10))
        values = common + 0.5 * chance.normal(size=(5, 10))
        known = [Values("create", str(at), list(row[:5]), list(row[5:])) for at, row in enumerate(values)]
        alarms += min(together(known)) <= 0.05
    assert alarms <= stats.binom.ppf(0.999, 400, 0.05)


def test_with_many_runs_splits_are_drawn_and_find_the_same() -> None:
    base, new = [float(one) for one in range(12)], [float(one) for one in range(100, 112)]

    assert together([Values("create", "p50", base, new)])[0] < 1e-3
