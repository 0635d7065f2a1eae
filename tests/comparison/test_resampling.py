import numpy as np
import pytest
from scipy import stats
from tests.comparison.conftest import batch, batches

from convload.comparison.resampling import TIMES, Sample, block_length, bootstrap, draw, replicate
from convload.results.histogram import Histogram


def test_the_spread_of_a_median_agrees_with_scipys_bootstrap() -> None:
    """One request a second: then drawing seconds is drawing requests."""
    times = np.random.default_rng(3).lognormal(3, 0.4, 400)
    sample = Sample([batch([one]) for one in times])

    ours = bootstrap(sample, block=1, replicates=4000)["p50"].error
    peer = stats.bootstrap(
        (np.log(times),),
        lambda x, axis: np.quantile(x, 0.5, axis=axis, method="inverted_cdf"),
        n_resamples=4000,
        method="percentile",
        vectorized=True,
        rng=np.random.default_rng(4),
    ).standard_error

    assert ours == pytest.approx(peer, rel=0.08)


def test_seconds_that_resemble_each_other_widen_the_spread() -> None:
    chance = np.random.default_rng(1)
    levels = [0.0]
    for _ in range(199):
        levels.append(0.9 * levels[-1] + chance.normal(0, 0.1))
    seconds = [batch(20 * np.exp(level + 0.4 * chance.standard_normal(200))) for level in levels]
    mixed = [seconds[at] for at in chance.permutation(len(seconds))]

    together, apart = (bootstrap(Sample(made)) for made in (seconds, mixed))

    assert together["p50"].block > apart["p50"].block
    assert together["p50"].error > 1.7 * apart["p50"].error


def test_the_block_of_independent_seconds_is_the_cube_root_of_their_number() -> None:
    noise = np.random.default_rng(2).standard_normal(216)

    assert block_length([noise]) == 6


@pytest.mark.parametrize("size", [1, 2, 3, 10])
def test_a_block_of_very_few_batches_still_fits(size: int) -> None:
    assert 1 <= block_length([np.arange(size, dtype=float)]) <= size


def test_each_draw_keeps_the_number_of_batches_of_each_stage() -> None:
    weights = draw([(0, 4), (4, 10)], 3, 50)

    assert (weights[:, :4].sum(axis=1) == 4).all()
    assert (weights[:, 4:].sum(axis=1) == 6).all()


def test_drawing_every_batch_once_gives_the_statistics_of_the_run() -> None:
    sample = Sample(batches(7, errors=0.01))

    once = {name: float(replicate(sample, np.ones((1, len(sample.batches))), name)[0]) for name in (*TIMES, "rate")}

    for name, percent in (("p50", 50.0), ("p95", 95.0), ("p99", 99.0)):
        assert np.exp(once[name]) == pytest.approx(sample.times.percentile(percent), rel=1e-3)
    assert np.exp(once["rate"]) == pytest.approx(sample.rate)


def test_a_replicate_is_the_percentile_of_the_batches_it_drew() -> None:
    """Also where the seconds are so different that it lies far from the percentile of the whole run."""
    made = batches(3, seconds=12, rate=50, level=1.0)
    sample, weights = Sample(made), draw([(0, 12)], 3, 40)

    found = replicate(sample, weights, "p95")

    for row, value in zip(weights, found, strict=True):
        drawn = Histogram.merged(one.times for one, times in zip(made, row, strict=True) for _ in range(int(times)))
        assert np.exp(value) == pytest.approx(drawn.percentile(95), rel=1e-3)


def test_a_time_that_never_varies_is_known_to_the_width_of_its_bucket_only() -> None:
    spread = bootstrap(Sample([batch([20.0] * 50) for _ in range(20)]))["p99"]

    assert 0 < spread.error < 1 / 1024
