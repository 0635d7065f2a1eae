import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.comparison.conftest import batches

from convload.comparison.batches import Batch
from convload.comparison.outcomes import IMPROVED, REGRESSED, SAME, UNKNOWN, Difference, Minimum, Shift, judge
from convload.comparison.planning import seconds_needed
from convload.comparison.resampling import Sample, Spread
from convload.comparison.single import Rule, compare_batches, joined, score, tail_samples

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

    assert judge("p50", 10.0, clear, Minimum(0.05, 0.2))[0] == REGRESSED
    assert judge("p50", 100.0, clear, Minimum(0.05, 0.2))[0] == SAME
    assert judge("p50", 10.0, clear, Minimum(0.05, 2.0))[0] == SAME


def test_no_difference_is_said_only_where_one_that_matters_is_ruled_out() -> None:
    narrow, wide = Shift(0.0, -0.4, 0.4, -0.3, 0.3), Shift(0.0, -2.0, 2.0, -1.5, 1.5)

    assert judge("p50", 10.0, narrow, Minimum())[0] == SAME
    assert judge("p50", 10.0, wide, Minimum()) == (UNKNOWN, "differences from -1.5 to +1.5 ms are possible")


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


def test_a_percentile_needs_a_sample_whose_largest_lies_above_it() -> None:
    needed = tail_samples(99.0, 0.99)

    assert 0.99**needed <= 0.005 < 0.99 ** (needed - 1)


def test_the_confidence_is_shared_by_all_statistics() -> None:
    assert Rule(0.99).each(10) == pytest.approx(0.999)
    assert Rule(0.99).one_sided == pytest.approx(0.98)


def test_joined_spreads_of_equal_size_have_the_freedom_of_both() -> None:
    assert joined(Spread(3.0, 10), Spread(4.0, 1e9)).error == pytest.approx(5.0)
    assert joined(Spread(2.0, 7), Spread(2.0, 7)).freedom == pytest.approx(14)


def test_a_score_interval_of_no_errors_reaches_above_nought() -> None:
    low, high = score(0.0, 1000, 2.576)

    assert low == 0.0
    assert high == pytest.approx(2.576**2 / (1000 + 2.576**2))


def test_longer_runs_are_asked_for_to_find_less() -> None:
    sample = Sample(batches(1, seconds=50))
    tenth, more = (seconds_needed(sample, "p99", RULE, relative=relative) for relative in (0.1, 0.2))

    assert 10 <= more < tenth < math.inf
    assert seconds_needed(sample, "p99", RULE, relative=0.05) == math.inf
