"""How many samples a gate that is undecided asks for: held against simulations."""

import numpy as np
import pytest

from convload.judging.estimates import Confidences, Estimate, Needed, fixed, samples_needed, share_bounds
from convload.judging.gate_result import PASS
from convload.judging.gates import compare
from convload.plan.gate_grammar import parse

SURE = Confidences(0.99, 0.99)


def share(hits: int, count: int) -> Estimate:
    low, high = share_bounds(hits, count, 0.99)
    return Estimate(100 * hits / count, 100 * low, 100 * high, count, hits)


def advice(text: str, found: Estimate, limit: Estimate) -> Needed | None:
    return samples_needed(parse(text).subject, "<=", found, limit, SURE)


@pytest.mark.parametrize(("hits", "count"), [(12, 2000), (3, 900), (40, 5000)])
def test_as_many_samples_as_are_advised_decide_a_share_in_nine_of_ten_runs(hits: int, count: int) -> None:
    found, limit = share(hits, count), fixed(1.0)
    needed = advice("errors <= 1%", found, limit)
    assert needed is not None

    runs = np.random.default_rng(1).binomial(needed.samples, hits / count, 300)
    decided = [compare("<=", share(int(one), needed.samples), limit) == PASS for one in runs]

    assert compare("<=", found, limit) != PASS
    assert np.mean(decided) == pytest.approx(0.9, abs=0.07)


def test_a_bound_just_beyond_the_limit_asks_for_more_than_one_sample_more() -> None:
    found = Estimate(value=10.0, low=9.0, high=11.001, samples=3034)

    needed = advice("create.p99 <= 11ms", found, fixed(11.0)) or Needed(0)

    assert needed.samples == pytest.approx(3034 * ((2.3263 + 1.2816) / 2.3263) ** 2, rel=0.01)


def test_a_baseline_that_is_known_too_little_is_not_made_up_for_by_this_run() -> None:
    found = Estimate(value=10.0, low=9.0, high=10.5, samples=3034)
    clear, open_one = (Estimate(value=11.0, low=low, high=12.0, samples=900) for low in (10.4, 9.9))

    assert (advice("create.p99 <= 11ms", found, clear) or Needed(0)).samples > 3034
    assert advice("create.p99 <= 11ms", found, open_one) is None
