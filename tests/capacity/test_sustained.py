"""What overloaded trials say of the rate that a target sustains."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convload.capacity.objective import overloaded
from convload.capacity.posterior import Sustained, Tail, expected_gap, prior, sustained
from convload.results.capacity_result import Overloaded, Trial

LOGS = np.linspace(math.log(10), math.log(10_000), 20_001)
LOG_RANGE = math.log(1_000)


def failed(per_s: float, dispersion: float = 1.0, seconds: int = 12, rate: float = 1_000) -> Trial:
    return Trial(rate=rate, duration_s=seconds / 0.8, outcome="fail", overloaded=Overloaded(per_s, dispersion, seconds))


def told(per_s: float, dispersion: float = 1.0) -> Sustained:
    found = sustained([failed(per_s, dispersion)])
    assert found is not None
    return found


def believed(limit: Sustained | None, tail: Tail) -> tuple[float, float]:
    """Returns the middle half of the prior."""
    below = np.cumsum(prior(limit, tail, LOG_RANGE, LOGS))
    low, high = np.interp([0.25, 0.75], below / below[-1], LOGS)
    return math.exp(low), math.exp(high)


def test_a_target_that_gets_done_what_it_is_offered_is_not_overloaded() -> None:
    assert overloaded([100, 98, 101], 100, 0, 0, 0.02) is None
    assert overloaded([], 100, 0, 0, 0.02) is None
    assert overloaded([0, 0, 0], 100, 0, 1, 0) is None


def test_what_piles_up_is_not_what_is_shed() -> None:
    piled = overloaded([100, 98, 102], 120, allowed_share=0.01, failed_share=0.0, response_s=0.5)
    shed = overloaded([100, 98, 102], 120, allowed_share=0.01, failed_share=0.17, response_s=0.5)

    assert piled == Overloaded(per_s=100, dispersion=0.04, seconds=3)
    assert shed is not None
    assert shed.per_s == pytest.approx(100 / 0.99)
    assert shed.decay_per_s == pytest.approx(math.log(100) / 0.5)


def test_nothing_is_known_without_a_trial_that_failed_overloaded() -> None:
    passed = Trial(rate=100, duration_s=10, outcome="pass", overloaded=Overloaded(90, 1, 8))

    assert sustained([]) is None
    assert sustained([passed, Trial(rate=100, duration_s=10, outcome="fail")]) is None
    assert np.ptp(prior(None, Tail(), LOG_RANGE, LOGS)) == 0


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), rate=st.floats(20, 5_000))
def test_the_spread_is_that_of_counting(seed: int, rate: float) -> None:
    """Ten trials of a Poisson count each: the mean is within 4.5 standard errors, which the spread tells."""
    counts = np.random.default_rng(seed).poisson(rate, (10, 12))
    found = sustained([failed(row.mean(), row.var(ddof=1) / row.mean()) for row in counts])

    assert found is not None
    error = 1 / math.sqrt(rate * counts.size)
    assert abs(math.log(found.per_s / rate)) < 4.5 * math.hypot(error, 0.003)
    assert 0.6 * error < found.spread < 1.6 * math.hypot(error, 0.003)


def test_one_collapsed_trial_among_others_does_not_pull_the_rate_down() -> None:
    found = sustained([failed(500), failed(503), failed(250), failed(498)])

    assert found is not None
    assert found.per_s == pytest.approx(500, rel=0.01)


def test_without_a_percentile_the_load_sought_is_just_below_the_one_sustained() -> None:
    low, high = believed(told(500, dispersion=0.0), Tail(arrivals_dispersion=0.0))

    assert 475 < low < high < 505


def test_a_strict_percentile_is_thought_to_break_as_far_below_as_heavy_traffic_says() -> None:
    """M/M/c at 500/s, p99 of 100 ms: the tail has to fall with 46/s, and falls with C - load."""
    limit = told(500)

    assert expected_gap(limit, Tail(46.0)) == pytest.approx(46 / 500, rel=0.05)
    low, high = believed(limit, Tail(46.0))
    assert low < 500 - 46 < high < 500


def test_some_probability_is_left_everywhere_for_passes_at_higher_loads_to_overrule() -> None:
    weights = prior(told(500), Tail(), LOG_RANGE, LOGS)

    assert weights.min() > 0
    assert weights.sum() == pytest.approx(1, rel=0.1)
