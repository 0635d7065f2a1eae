import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convload.results.histogram import PERCENTILES, Histogram, chance, samples_needed, short, statistics, unsupported


@pytest.mark.parametrize(("percent", "least"), [(50, 5), (90, 29), (95, 59), (99, 299), (99.9, 2995)])
def test_a_percentile_needs_so_many_samples_that_one_lies_beyond_it_with_95_percent(percent: float, least: int) -> None:
    assert samples_needed(percent) == least
    assert (percent / 100) ** least <= 0.05 < (percent / 100) ** (least - 1)


@pytest.mark.parametrize("name", PERCENTILES)
def test_a_percentile_is_left_blank_with_the_reason_below_that(name: str) -> None:
    least = samples_needed(PERCENTILES[name])
    short, enough = Histogram.of(np.arange(least - 1)), Histogram.of(np.arange(least))

    assert name not in statistics(short)
    assert unsupported(least - 1)[name] == f"needs {least:,} samples, has {least - 1:,}"
    assert name in statistics(enough)
    assert name not in unsupported(least)


def test_maximum_and_mean_are_always_stated() -> None:
    assert statistics(Histogram.of(np.array([2000]))) == {"max": 2.0, "mean": 2.0}


def test_nothing_measured_has_no_statistics_and_needs_no_reason() -> None:
    assert statistics(Histogram.empty()) == {}
    assert unsupported(0) == {}


@pytest.mark.parametrize(
    ("value", "text"), [(2782.4, "2,782"), (100.0, "100"), (31.04, "31"), (0.0512, "0.0512"), (0.0, "0")]
)
def test_a_figure_in_a_sentence_has_about_three_digits_and_no_exponent(value: float, text: str) -> None:
    assert short(value) == text


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (1200.0, 3, "1,200"),
        (1234.5, 3, "1,234"),
        (-7.66e-05, 3, "-0.0000766"),
        (0.000124, 3, "0.000124"),
        (1_500_000.0, 7, "1,500,000"),
        (512.25, 7, "512.25"),
        (9.996, 3, "10"),
        (0.0, 3, "0"),
        (float("inf"), 3, "inf"),
    ],
)
def test_a_figure_has_its_digits_and_no_exponent(value: float, digits: int, text: str) -> None:
    assert short(value, digits) == text


@given(st.floats(-1e12, 1e12))
def test_no_figure_of_a_sentence_has_an_exponent(value: float) -> None:
    assert "e" not in short(value)
    if abs(value) > 1e-9:
        assert float(short(value).replace(",", "")) == pytest.approx(value, rel=5.1e-3)


@pytest.mark.parametrize(("p", "text"), [(0.0312, "= 0.031"), (0.0001, "= 0.0001"), (5e-11, "< 0.0001"), (1.0, "= 1")])
def test_a_chance_that_is_very_small_is_said_to_be_so(p: float, text: str) -> None:
    assert chance(p) == text
