import time
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st

from convload.errors import RunLogError
from convload.results.histogram import HIGHEST_US, Accumulator, Histogram

QS = [0, 0.001, 1, 25, 50, 75, 90, 95, 99, 99.9, 99.99, 99.999, 100]

# Uniform integers are nearly all long; the shape of real times is a uniform exponent.
exponents = st.floats(0, 9.55).map(lambda exponent: int(10**exponent))
times = st.one_of(st.integers(0, 5000), exponents, st.sampled_from([0, 1, 2047, 2048, 4095, HIGHEST_US]))
samples = st.lists(times, min_size=1, max_size=300).map(lambda values: np.array(values, np.int64))
fast = settings(max_examples=60, deadline=None)


def nearest_rank(values: npt.NDArray[np.int64], q: float) -> int:
    return int(np.percentile(values, q, method="inverted_cdf"))


def same(left: Histogram, right: Histogram) -> bool:
    return left.encode() == right.encode()


@fast
@given(samples)
def test_percentiles_are_within_half_a_thousandth_of_exact_sorting(values: npt.NDArray[np.int64]) -> None:
    found = Histogram.of(values).percentiles(QS)

    for q, us in zip(QS, found, strict=True):
        exact = nearest_rank(values, q)
        assert abs(us - exact) <= exact / 2000


@pytest.mark.parametrize("count", [200, 100_000])
def test_percentiles_agree_with_an_independent_histogram(count: int) -> None:
    values = np.random.default_rng(count).lognormal(8, 1.5, count).astype(np.int64)
    ours = Histogram.of(values)
    peer = HdrHistogram(1, HIGHEST_US, 4)
    for value in values.tolist():
        peer.record_value(value)

    assert ours.count == peer.get_total_count()
    for q in (50, 90, 95, 99, 99.9):
        assert ours.percentile(q) == pytest.approx(peer.get_value_at_percentile(q), rel=1e-3)


@pytest.mark.parametrize("value", [0, 1, 1023, 1024, 2045, 2046])
def test_below_2048_every_time_has_its_own_bucket(value: int) -> None:
    neighbours = Histogram.of(np.array([value, value, value + 1, value + 1, 5000]))

    assert neighbours.percentiles([30, 70]) == [value, value + 1]


@fast
@given(samples)
def test_count_minimum_maximum_and_mean_are_exact(values: npt.NDArray[np.int64]) -> None:
    histogram = Histogram.of(values)

    assert histogram.count == len(values)
    assert (histogram.min_us, histogram.max_us) == (values.min(), values.max())
    assert histogram.mean_us == sum(values.tolist()) / len(values)


@fast
@given(st.lists(samples, min_size=1, max_size=6))
def test_merging_equals_counting_all_in_one(parts: list[npt.NDArray[np.int64]]) -> None:
    whole = Histogram.of(np.concatenate(parts))
    histograms = [Histogram.of(part) for part in parts]

    assert same(Histogram.merged(histograms), whole)
    assert same(sum(histograms, Histogram.empty()), whole)


@pytest.mark.parametrize("count", [1, 1499, 1500, 1501, 30_000])
def test_both_ways_of_counting_give_the_same(count: int) -> None:
    values = np.random.default_rng(count).lognormal(7, 1, count).astype(np.int64)
    one_by_one = Histogram.merged(Histogram.of(part) for part in np.array_split(values, 50))

    assert same(Histogram.of(values), one_by_one)


@fast
@given(samples)
def test_decoding_gives_back_what_was_encoded(values: npt.NDArray[np.int64]) -> None:
    histogram = Histogram.of(values)
    read = Histogram.decode(histogram.encode())

    assert read.index.tolist() == histogram.index.tolist()
    assert read.counts.tolist() == histogram.counts.tolist()
    assert (read.min_us, read.max_us, read.sum_us) == (histogram.min_us, histogram.max_us, histogram.sum_us)


def test_counts_and_gaps_of_every_width_survive_encoding() -> None:
    total = Histogram.of(np.array([0, 1, 300_000, HIGHEST_US]))
    for _ in range(40):
        total = total + total
        assert same(Histogram.decode(total.encode()), total)

    assert total.count == 4 * 2**40


@pytest.mark.parametrize(("count", "most"), [(1, 30), (10, 60), (1000, 1000), (50_000, 4500)])
def test_the_text_is_small_ascii(count: int, most: int) -> None:
    values = np.random.default_rng(5).lognormal(8, 0.5, count).astype(np.int64)
    text = Histogram.of(values).encode()

    assert len(text) < most
    assert text.isascii()


def test_times_beyond_an_hour_are_clamped_while_the_maximum_stays_exact() -> None:
    histogram = Histogram.of(np.array([10 * HIGHEST_US, 20 * HIGHEST_US, 30 * HIGHEST_US]))

    assert histogram.count == 3
    assert histogram.max_us == histogram.percentile(100) == 30 * HIGHEST_US
    assert histogram.mean_us == 20 * HIGHEST_US
    assert same(Histogram.decode(histogram.encode()), histogram)


def test_negative_times_count_as_zero() -> None:
    assert Histogram.of(np.array([-5, -1])).percentiles([0, 100]) == [0, 0]


def test_the_values_passed_in_are_left_as_they_were() -> None:
    values = np.array([3, 1, 2])
    Histogram.of(values)

    assert values.tolist() == [3, 1, 2]


def test_nearest_rank_is_free_of_float_noise() -> None:
    histogram = Histogram.of(np.arange(1, 1001))

    assert histogram.percentile(99.9) == 999
    assert histogram.percentile(99.90001) == 1000
    # In binary floating point 99.9 * 41,000 / 100 lies above 40,959.
    assert Histogram.of(np.repeat([1, 2], [40_959, 41])).percentile(99.9) == 1


def test_an_empty_histogram_has_no_statistics_and_encodes_to_nothing() -> None:
    empty = Histogram.of(np.array([], np.int64))

    assert empty.count == 0
    assert empty.encode() == ""
    assert Histogram.decode("").count == 0
    assert empty.spectrum() == []
    statistics: list[Callable[[], float]] = [lambda: empty.percentile(50), lambda: empty.mean_us]
    for statistic in statistics:
        with pytest.raises(ValueError, match="empty"):
            statistic()


@pytest.mark.parametrize("q", [-0.1, 100.1])
def test_a_percentile_outside_0_to_100_is_refused(q: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 100"):
        Histogram.of(np.array([1])).percentile(q)


def test_an_accumulator_that_was_read_can_take_more() -> None:
    total = Accumulator()
    total.add(Histogram.of(np.array([0, 5])))
    first = total.histogram()
    total.add(Histogram.of(np.array([7])))

    assert first.count == 2
    assert same(total.histogram(), Histogram.of(np.array([0, 5, 7])))


@fast
@given(samples)
def test_a_spectrum_rises_and_agrees_with_the_percentiles(values: npt.NDArray[np.int64]) -> None:
    histogram = Histogram.of(values)
    points = histogram.spectrum()

    assert all(left[0] < right[0] and left[1] <= right[1] for left, right in pairwise(points))
    assert [us for _, us in points] == histogram.percentiles([q for q, _ in points])
    assert points[-1][1] == histogram.max_us
    assert points[0][1] == histogram.min_us


def test_a_spectrum_of_a_million_values_stays_drawable() -> None:
    points = Histogram.of(np.random.default_rng(1).integers(0, 10**6, 10**6)).spectrum()

    assert 100 < len(points) < 200
    assert points[-1][0] > 99.9999


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "1,2,3,",
        "1,2,3,B",
        "1,2,3,XXAAAA",
        "1,2,3,BBnot base64",
        "1,2,3,BB" + "A" * 8,
        "-5,1,1,BBY2AEAA==",
        "99999999999,1,1,BBY2BkBAA=",
        "5,5,5",
    ],
)
def test_damaged_text_is_refused_with_a_message(text: str) -> None:
    with pytest.raises(RunLogError, match="histogram of the run log is damaged"):
        Histogram.decode(text)


@given(st.integers(0, 10**6), st.data())
@fast
def test_text_with_a_changed_character_never_ends_in_another_error(seed: int, data: st.DataObject) -> None:
    text = Histogram.of(np.random.default_rng(seed).integers(0, 10**5, 50)).encode()
    place = data.draw(st.integers(0, len(text) - 1))
    changed = text[:place] + data.draw(st.characters(codec="ascii")) + text[place + 1 :]

    try:
        Accumulator().add(Histogram.decode(changed))
    except RunLogError:
        return


def test_counting_costs_a_worker_little() -> None:
    values = np.random.default_rng(1).lognormal(8, 0.7, 50_000).astype(np.int64)

    def seconds() -> float:
        start = time.perf_counter()
        Histogram.of(values)
        return time.perf_counter() - start

    # Ten times what it takes on a slow core: only a change of method can break this.
    assert min(seconds() for _ in range(20)) < len(values) * 0.2e-6


@given(st.lists(st.integers(0, 2 * HIGHEST_US), min_size=1, max_size=50))
def test_the_edges_of_a_rank_hold_its_value(values: list[int]) -> None:
    histogram = Histogram.of(np.array(values))

    for rank, value in enumerate(sorted(values), 1):
        low, high = histogram.edges(rank)
        assert low <= value <= high
        assert high - low <= max(0, low / 1000) or value >= HIGHEST_US
