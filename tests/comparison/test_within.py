import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.comparison.conftest import batch, batches

from convload.comparison.batches import Batch
from convload.comparison.outcomes import IMPROVED, REGRESSED, SAME, UNKNOWN, Difference, Minimum, Rule, Shift, judge
from convload.comparison.within import bounds_of_ratio, compare_batches, compare_paired
from convload.errors import UsageError

RULE = Rule(0.99)


def compared(base: list[Batch], new: list[Batch], rule: Rule = RULE) -> dict[str, Difference]:
    return {one.statistic: one for one in compare_batches({"create": base}, {"create": new}, rule)}


def test_a_tenth_longer_is_regressed_in_every_time() -> None:
    found = compared(batches(1, seconds=50), batches(2, seconds=50, scale=1.1))

    assert {found[name].outcome for name in ("p50", "p95", "p99")} == {REGRESSED}
    assert found["p50"].relative == pytest.approx(0.1, abs=0.02)
    assert found["rate"].outcome == SAME


def test_a_tenth_shorter_is_improved() -> None:
    assert compared(batches(1, seconds=50), batches(2, seconds=50, scale=0.9))["p50"].outcome == IMPROVED


def test_more_errors_are_regressed_and_none_against_none_is_no_difference() -> None:
    clean, failing = batches(1, seconds=50), batches(2, seconds=50, errors=0.02)

    assert compared(clean, failing)["errors"].outcome == REGRESSED
    assert compared(failing, clean)["errors"].outcome == IMPROVED
    assert compared(clean, batches(3, seconds=50))["errors"].outcome == SAME


def test_a_lower_rate_is_regressed() -> None:
    assert compared(batches(1, rate=200), batches(2, rate=150))["rate"].outcome == REGRESSED


def test_a_run_against_itself_is_no_difference_at_all() -> None:
    made = batches(1, seconds=50)
    found = compared(made, made)

    assert {one.difference for one in found.values()} == {0.0}
    assert REGRESSED not in {one.outcome for one in found.values()}
    assert IMPROVED not in {one.outcome for one in found.values()}


@settings(max_examples=4)
@given(st.integers(0, 1000), st.floats(0.8, 1.25))
def test_swapping_the_sides_negates_each_difference_and_its_interval(seed: int, scale: float) -> None:
    rule = Rule(0.99, Minimum(0.0, 0.0, 0.0))
    one, other = batches(seed, rate=40, errors=0.02), batches(seed + 1, rate=40, scale=scale, errors=0.03)
    there, back = compared(one, other, rule), compared(other, one, rule)

    mirrored = {REGRESSED: IMPROVED, IMPROVED: REGRESSED}
    for name, found in there.items():
        assert found.difference is not None
        assert back[name].difference == pytest.approx(-found.difference, abs=1e-5)
        assert back[name].outcome == mirrored.get(found.outcome, found.outcome)
        if found.low is not None and back[name].low is not None and name == "errors":
            assert back[name].low == pytest.approx(-(found.high or 0), abs=1e-5)
        if found.low is not None and name in {"p50", "rate"}:
            # On the scale of factors: the interval of the ratio is turned over.
            low, high = 1 + found.low / (found.base or 1), 1 + (found.high or 0) / (found.base or 1)
            assert 1 + (back[name].low or 0) / (back[name].base or 1) == pytest.approx(1 / high, rel=1e-4)
            assert 1 + (back[name].high or 0) / (back[name].base or 1) == pytest.approx(1 / low, rel=1e-4)


@settings(max_examples=4)
@given(st.integers(0, 1000), st.integers(2, 9))
def test_to_measure_in_another_unit_changes_no_outcome_and_no_relative_difference(seed: int, factor: int) -> None:
    one, other = batches(seed, rate=40), batches(seed + 1, rate=40, scale=1.2)
    scaled = [batches(seed, rate=40, scale=factor), batches(seed + 1, rate=40, scale=1.2 * factor)]
    rule = Rule(0.99, Minimum(0.05, 0.0))

    for name, found in compared(one, other, rule).items():
        again = compared(scaled[0], scaled[1], rule)[name]
        assert again.outcome in {found.outcome, UNKNOWN} or found.outcome == UNKNOWN
        assert again.relative == pytest.approx(found.relative, abs=0.003)


def test_both_minima_must_be_reached() -> None:
    clear = Shift(1.0, 0.9, 1.1, 0.95, 1.05)

    assert judge("p50", 10.0, clear, Minimum(0.05, 0.2)) == REGRESSED
    assert judge("p50", 100.0, clear, Minimum(0.05, 0.2)) == SAME
    assert judge("p50", 10.0, clear, Minimum(0.05, 2.0)) == SAME


def test_no_difference_is_said_only_where_one_that_matters_is_ruled_out() -> None:
    narrow, wide = Shift(0.0, -0.4, 0.4, -0.3, 0.3), Shift(0.0, -2.0, 2.0, -1.5, 1.5)

    assert judge("p50", 10.0, narrow, Minimum()) == SAME
    assert judge("p50", 10.0, wide, Minimum()) == UNKNOWN


def test_too_few_seconds_or_samples_cannot_tell_and_say_why() -> None:
    short = compared(batches(1, seconds=9), batches(2))
    thin = compared(batches(1, rate=10), batches(2, rate=10))

    assert short["p50"].outcome == UNKNOWN
    assert short["p50"].why == "needs 10 seconds of measured time, the base has 9"
    assert thin["p99"].outcome == UNKNOWN
    assert thin["p99"].why.startswith("needs 688 samples, the base has ")


def test_a_step_that_only_one_side_has_cannot_be_told() -> None:
    found = compare_batches({"create": batches(1), "close": batches(3)}, {"create": batches(2)}, RULE)

    assert {one.why for one in found if one.step == "close"} == {"the new side has no such requests"}


def test_the_confidence_is_shared_by_all_statistics() -> None:
    assert Rule(0.99).each(10) == pytest.approx(0.999)
    assert Rule(0.99).one_sided == pytest.approx(0.98)


def test_an_interval_is_finite_or_there_is_none() -> None:
    assert bounds_of_ratio(10.0, 11.0, (math.log(9), math.log(9))) == pytest.approx((11 / 9 - 10, 99 - 10))
    assert bounds_of_ratio(10.0, 11.0, (1.0, 50.0)) == (-math.inf, math.inf)
    assert bounds_of_ratio(10.0, 11.0, (math.inf, math.inf)) == (-math.inf, math.inf)


def test_a_step_of_few_requests_has_no_interval_rather_than_an_endless_one() -> None:
    chance = np.random.default_rng(1)
    sides = [[batch([float(chance.lognormal(0, 3))] * 90) for _ in range(10)] for _ in range(2)]

    found = compared(sides[0], sides[1])

    assert {one.low for one in found.values() if one.statistic in {"p50", "p95", "p99"}} == {None}
    assert found["p50"].why.startswith("not enough samples for an interval")


def test_what_cannot_be_told_says_how_many_more_samples_would_do() -> None:
    found = compared(batches(1, rate=60), batches(2, rate=60))

    assert found["p95"].outcome == UNKNOWN
    assert found["p95"].more_samples
    assert f"about {found['p95'].more_samples:,} more a side would do" in found["p95"].why
    assert found["p95"].why.startswith("too few samples to find or to rule out a difference of ")


def windows(seed: int, slower: float, pairs: int = 30) -> tuple[list[Batch], list[Batch]]:
    """Pairs of windows on a machine that is now fast, now slow, for both alike."""
    chance = np.random.default_rng(seed)
    sides: tuple[list[Batch], list[Batch]] = ([], [])
    for _ in range(pairs):
        machine = float(np.exp(chance.normal(0, 0.3)))
        for side, factor in zip(sides, (1.0, slower), strict=True):
            times = 20 * machine * factor * np.exp(0.3 * chance.standard_normal(400))
            side.append(batch(times, int(chance.binomial(400, 0.01)), length_s=2.0))
    return sides


def named(found: list[Difference]) -> dict[str, Difference]:
    return {one.statistic: one for one in found}


def test_noise_that_both_targets_share_cancels() -> None:
    base, new = windows(1, 1.1)
    paired = named(compare_paired(base, new, Rule(0.99), "create"))
    apart = named(compare_batches({"create": base}, {"create": new}, Rule(0.99)))

    assert paired["p50"].outcome == REGRESSED
    assert paired["p50"].relative == pytest.approx(0.1, abs=0.03)
    assert apart["p50"].outcome == UNKNOWN
    assert {one.step for one in paired.values()} == {"create"}


def test_equal_targets_are_no_different() -> None:
    found = named(compare_paired(*windows(2, 1.0, pairs=60), Rule(0.99)))

    assert found["p50"].outcome == SAME
    assert REGRESSED not in {one.outcome for one in found.values()}


def test_equal_targets_raise_hardly_any_false_alarm() -> None:
    found = [compare_paired(*windows(seed, 1.0, pairs=12), Rule(0.95)) for seed in range(6)]

    assert sum(any(one.outcome == REGRESSED for one in differences) for differences in found) <= 1


def test_windows_without_a_partner_are_refused() -> None:
    base, new = windows(1, 1.0)

    with pytest.raises(UsageError, match="A has 30 and B has 29"):
        compare_paired(base, new[:-1], Rule(0.99))


def test_too_few_pairs_cannot_tell() -> None:
    base, new = windows(1, 1.5, pairs=9)

    assert {one.why for one in compare_paired(base, new, Rule(0.99))} == {"needs 10 pairs of windows, A has 9"}
