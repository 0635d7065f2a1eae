import numpy as np
import pytest

from convload.results.histogram import PERCENTILES, Histogram, samples_needed, short, statistics, unsupported


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
