"""The block bootstrap of a run's statistics: how far each would be off if the same run were made of other seconds.

Seconds of a run resemble their neighbours (a collection, a noisy neighbour, a backlog), so single requests or single
seconds must not be drawn as if they were independent: that makes intervals too narrow. Whole blocks of consecutive
seconds are drawn instead, around the end to the start (the circular block bootstrap: Politis and Romano, "A circular
block-resampling procedure for stationary data", in "Exploring the Limits of Bootstrap", 1992), within each stage.
"""

import math

import msgspec
import numpy as np
import numpy.typing as npt

from convload.comparison.batches import Batch, strata
from convload.results.histogram import Histogram

Floats = npt.NDArray[np.float64]

REPLICATES = 2000
"""A standard error of so many is off by 1.6 % (1/sqrt(2 R)): far less than what few blocks leave open anyway."""

TIMES = {"p50": 50.0, "p95": 95.0, "p99": 99.0}
"""The percentiles that are compared."""

_SEED = 1


class Sample:
    """The batches of one step as a matrix of batches × buckets in use."""

    def __init__(self, batches: list[Batch]) -> None:
        self.batches = batches
        self.times = Histogram.merged(batch.times for batch in batches)
        self.values_us = self.times.values_us.astype(np.float64)
        self.matrix = np.zeros((len(batches), len(self.times.index)))
        for row, batch in enumerate(batches):
            self.matrix[row, np.searchsorted(self.times.index, batch.times.index)] = batch.times.counts
        self.failed = np.array([batch.failed for batch in batches], np.float64)
        self.counts = np.array([batch.count for batch in batches], np.float64)
        self.in_time = self.counts - np.array([batch.late for batch in batches], np.float64)
        self.length_s = sum(batch.length_s for batch in batches)

    @property
    def error_share(self) -> float:
        """Failed requests of all."""
        return float(self.failed.sum() / self.counts.sum())

    @property
    def rate(self) -> float:
        """Requests answered, or failed, per second of the measured time; 0 where nothing was measured."""
        return float(self.in_time.sum() / self.length_s) if self.length_s else 0.0

    def deviations(self) -> dict[str, Floats]:
        """Returns for each statistic what each batch adds to its error: the linear part, in arbitrary units.

        For a percentile that is by how many times more of the batch lie above it than should (Bahadur 1966).
        """
        found = {"rate": self.in_time - self.in_time.mean()}
        if self.times.count:
            oks = self.matrix.sum(axis=1)
            for name, at_us in zip(TIMES, self.times.percentiles(list(TIMES.values())), strict=True):
                above = self.matrix[:, self.values_us > at_us].sum(axis=1)
                found[name] = above - above.sum() / oks.sum() * oks
        return found


def statistic(sample: Sample, name: str) -> float | None:
    """Returns a statistic in its unit (ms, percent, per second); None where nothing was measured."""
    if name in TIMES:
        return sample.times.percentile(TIMES[name]) / 1000 if sample.times.count else None
    if not sample.counts.sum():
        return None
    return 100 * sample.error_share if name == "errors" else sample.rate


class Spread(msgspec.Struct, frozen=True):
    """How far a statistic is off by chance: a standard error, and the degrees of freedom that it rests on.

    It is that of the natural logarithm, so that it is relative. `block` is how many batches long the blocks were that
    were drawn.
    """

    error: float
    freedom: float
    block: int = 1


def bootstrap(sample: Sample, *, block: int | None = None, replicates: int = REPLICATES) -> dict[str, Spread]:
    """Returns the spread of p50, p95, p99 (of successful requests) and `rate`; errors are counted, see counts.py.

    The blocks are as long as each statistic needs; `block` sets their length. The same sample has the same spread each
    time. The variance of few blocks is too small by the share of one block, which is made up for.
    """
    ranges = strata(sample.batches)
    blocks = {
        name: block or block_length([values[low:high] for low, high in ranges])
        for name, values in sample.deviations().items()
    }
    drawn = {length: draw(ranges, length, replicates) for length in set(blocks.values())}
    return {
        name: spread(name, replicate(sample, drawn[length], name), ranges, length) for name, length in blocks.items()
    }


def spread(name: str, values: Floats, ranges: list[tuple[int, int]], block: int) -> Spread:
    """Returns the spread of replicates that were drawn in blocks of a length."""
    blocks = sum(max(1.0, (high - low) / block) for low, high in ranges)
    freedom = max(1.0, blocks - len(ranges))
    # Endless where a replicate has no value at all.
    deviation = float(values.std(ddof=1)) if np.isfinite(values).all() else math.inf
    error = math.sqrt(blocks / freedom) * deviation
    # A time is read to the width of its bucket: however steady, it is known no better.
    return Spread(max(error, _BUCKET_ERROR if name in TIMES else 0.0), freedom, block)


_BUCKET_ERROR = 1 / 1024 / math.sqrt(12)


def replicate(sample: Sample, weights: Floats, name: str) -> Floats:
    """Returns the logarithm of a statistic, once for each row of weights of the batches."""
    if name == "rate":
        with np.errstate(divide="ignore"):
            return np.log((weights @ sample.in_time) / sample.length_s)
    return np.log(np.maximum(_percentile(sample, weights, TIMES[name] / 100), 1.0))


def _percentile(sample: Sample, weights: Floats, share: float) -> Floats:
    """Returns a percentile of each replicate in microseconds, by nearest rank as everywhere.

    Only the buckets around the percentile of the run are added up, for that is nearly all of the work: as many as the
    replicates need, tried with more and more.
    """
    upto = np.cumsum(sample.matrix.sum(axis=0)) / max(sample.times.count, 1)
    # The small part forgives the noise of a product, as 0.99 × 1000 is above 990.
    ranks = np.maximum(np.ceil(share * (weights @ sample.matrix.sum(axis=1)) - 1e-6), 1)
    reach = _FIRST_REACH
    while True:
        low, high = np.searchsorted(upto, share - reach), np.searchsorted(upto, share + reach) + 1
        below = weights @ sample.matrix[:, :low].sum(axis=1)
        counted = below[:, None] + np.cumsum(weights @ sample.matrix[:, low:high], axis=1)
        inside = (below < ranks).all() and (counted[:, -1] >= ranks - 0.5).all()
        if inside or reach > 1:
            places = low + (counted < ranks[:, None] - 0.5).sum(axis=1)
            found: Floats = sample.values_us[np.minimum(places, len(sample.values_us) - 1)]
            return found
        reach *= 3


_FIRST_REACH = 0.005
"""Of all requests, to each side: what a steady run needs for its p99."""


def draw(ranges: list[tuple[int, int]], block: int, replicates: int) -> Floats:
    """Returns replicates × batches: how often each batch was drawn; each stratum keeps its number of batches."""
    chance = np.random.default_rng(_SEED)
    weights = np.zeros((replicates, ranges[-1][1]))
    rows = np.arange(replicates)[:, None]
    for low, high in ranges:
        size = high - low
        starts = chance.integers(size, size=(replicates, math.ceil(size / block)))
        places = (starts[:, :, None] + np.arange(block)).reshape(replicates, -1)[:, :size] % size
        np.add.at(weights, (rows, low + places), 1.0)
    return weights


def block_length(series: list[Floats]) -> int:
    """Returns how many batches long a block must be that what is beyond it matters little.

    The automatic choice of Politis and White, "Automatic block-length selection for the dependent bootstrap",
    Econometric Reviews 23 (2004), with the correction of Patton, Politis and White (2009), for circular blocks; from
    the autocovariance within the strata. It is never below the cube root of the length: in a short series a moderate
    correlation cannot be told from none, and the price of a longer block is only a wider interval. Where neighbours
    differ rather than resemble each other, it stays there: shorter blocks err on the side of a wider interval.
    """
    size = sum(len(part) for part in series)
    shortest = max(1, round(math.cbrt(size)))
    longest = max(1, min(math.ceil(3 * math.sqrt(size)), size // 3))
    lags = min(longest + _quiet_lags(size), size - 1)
    covariance = _autocovariance(series, lags)
    if covariance[0] <= 0:
        return min(shortest, longest)
    reach = min(2 * _last_correlated(covariance / covariance[0], size), lags)
    k = np.arange(reach + 1)
    window = np.clip(2 * (1 - k / max(reach, 1)), 0, 1)  # the flat-top kernel
    doubled = np.where(k == 0, 1, 2) * window * covariance[: reach + 1]
    slope, level = float((k * doubled).sum()), float(doubled.sum())
    if level <= covariance[0]:
        return min(shortest, longest)
    best = math.cbrt(2 * slope**2 / (4 / 3 * level**2) * size)
    return min(max(math.ceil(best), shortest), longest)


def _quiet_lags(size: int) -> int:
    """Returns how many lags in a row must be uncorrelated: K_n of Politis and White."""
    return max(5, math.ceil(math.sqrt(math.log10(size)))) if size > 1 else 1


def _last_correlated(correlation: Floats, size: int) -> int:
    """Returns the lag after which the correlation stays within chance; at least 1."""
    limit = 2 * math.sqrt(math.log10(max(size, 2)) / size)
    quiet = _quiet_lags(size)
    for lag in range(1, len(correlation)):
        if (np.abs(correlation[lag : lag + quiet]) < limit).all():
            return max(lag - 1, 1)
    return len(correlation) - 1


def _autocovariance(series: list[Floats], lags: int) -> Floats:
    centred = [part - part.mean() for part in series]

    def products(lag: int) -> float:
        return sum(float(part[lag:] @ part[: len(part) - lag]) for part in centred if lag < len(part))

    return np.array([products(lag) for lag in range(lags + 1)]) / sum(map(len, series))


def joined(one: Spread, other: Spread) -> Spread:
    """Returns the spread of a difference of independent estimates (Welch 1947, Satterthwaite 1946)."""
    a, b = one.error**2, other.error**2
    if not math.isfinite(a + b):
        return Spread(math.inf, 1.0)
    freedom = (a + b) ** 2 / (a**2 / one.freedom + b**2 / other.freedom) if a + b else one.freedom + other.freedom
    return Spread(math.sqrt(a + b), freedom)
