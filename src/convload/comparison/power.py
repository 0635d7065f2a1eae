"""Says how long runs must be to tell a difference, or that there is none, from how much one run varies.

The textbook sum of two quantiles (Cohen, "Statistical power analysis", 1988): a difference is found when it exceeds its
standard error by the quantile of the interval and by that of the power. The error falls with the root of the length.
"""

import math
from collections.abc import Callable
from statistics import NormalDist

from scipy import special

from convload.comparison.batches import FEWEST_BATCHES
from convload.comparison.counts import Failures, design_effect, difference_bounds
from convload.comparison.outcomes import STATISTICS, Rule
from convload.comparison.resampling import TIMES, Sample, Spread, bootstrap

PLANNED_POWER = 0.95
"""How often a difference of the wanted size is to be found; more than nine times in ten, as the run that is planned
from knows its own noise only roughly."""

POWER = 0.8
"""How often so many more samples as are advised tell what these did not."""

FOUND = 0.1
"""The difference that runs are planned for, unless told otherwise."""

_STEP = 1.05
_LONGEST_S = 7 * 86_400.0
_MOST_TIMES = 1000.0


def quantile(confidence: float, freedom: float) -> float:
    """Returns how many standard errors a two-sided interval reaches to each side.

    Student's distribution, as few blocks leave the standard error itself uncertain. The quantiles of the replicates
    themselves would need far more blocks than a run has: at 99.9 % of all statistics they are its most extreme draws.
    """
    return float(special.stdtrit(freedom, (1 + confidence) / 2))


def tail_samples(percent: float, confidence: float) -> int:
    """Returns from how many samples on a percentile has a two-sided interval at all, whatever the distribution.

    Its upper end is the largest sample at best, and that lies below the percentile with probability q^n; so
    n >= ln(risk of one side) / ln q. David and Nagaraja, "Order Statistics", 3rd ed., §7.1.
    """
    return math.ceil(math.log((1 - confidence) / 2) / math.log(percent / 100))


def seconds_needed(sample: Sample, statistic: str, rule: Rule, *, steps: int = 1, relative: float = FOUND) -> float:
    """Returns how many seconds each of two runs like this one must measure to find a relative difference of a time.

    What is found must leave out 0 at the confidence of all statistics together, and reach the minimum that counts, each
    with a probability of 0.95; endless where the difference is no larger than that minimum. Student's quantile stands
    for the first, as the blocks of a short run are few.
    """
    found = bootstrap(sample)[statistic]
    size, above = math.log1p(relative), math.log1p(relative) - math.log1p(rule.minimum.relative)
    each, sure = rule.each(steps * len(STATISTICS)), NormalDist().inv_cdf(PLANNED_POWER)
    per_s = sample.times.count / sample.length_s
    seconds = max(FEWEST_BATCHES, tail_samples(TIMES[statistic], each) / per_s)
    batch_s = sample.length_s / len(sample.batches)
    while seconds < _LONGEST_S:
        joint = found.error * math.sqrt(2 * sample.length_s / seconds)
        freedom = 2 * max(1.0, seconds / batch_s / found.block - 1)
        if joint * (quantile(each, freedom) + sure) <= size and joint * sure <= above:
            return float(math.ceil(seconds))
        seconds *= _STEP
    return math.inf


def more_for_time(joint: Spread, samples: int, rule: Rule, each: float, least: float) -> int | None:
    """Returns about how many more samples a side tell a time or a rate; `least` is the relative minimum.

    They are enough to rule out a difference of the minimum where there is none, and to find one of twice its size, each
    in four of five pairs of runs; None where no reasonable number does it.
    """
    sure, both = (NormalDist().inv_cdf(power) for power in (POWER, (1 + POWER) / 2))
    small, large = math.log1p(least), math.log1p(2 * least)

    def enough(times: float) -> bool:
        error, freedom = joint.error / math.sqrt(times), joint.freedom * times
        ruled_out = error * (quantile(rule.one_sided, freedom) + both) <= small
        return ruled_out and error * (quantile(each, freedom) + sure) <= large and error * sure <= large - small

    return _more(samples, enough)


def more_for_errors(base: Sample, new: Sample, rule: Rule, each: float, least: float) -> int | None:
    """Returns the same for a share of errors; `least` is the minimum as a share."""
    effect = design_effect([base, new])
    sizes = [float(side.counts.sum()) / effect for side in (base, new)]
    share = float(base.failed.sum() + new.failed.sum()) / effect / sum(sizes)
    sure, both = (NormalDist().inv_cdf(power) for power in (POWER, (1 + POWER) / 2))
    beyond = NormalDist().inv_cdf((1 + each) / 2)

    def enough(times: float) -> bool:
        same = [Failures(share * size * times, size * times) for size in sizes]
        error, wider = (
            math.sqrt(sum(p * (1 - p) / one.count for p, one in zip(shares, same, strict=True)))
            for shares in ((share, share), (share, min(share + 2 * least, 1.0)))
        )
        low, high = difference_bounds(same[0], same[1], rule.one_sided)
        return max(-low, high) + both * error <= least and (beyond + sure) * wider <= 2 * least

    return _more(int(min(side.counts.sum() for side in (base, new))), enough)


def _more(samples: int, enough: Callable[[float], bool]) -> int | None:
    """Returns how many samples more are enough, to two digits."""
    times = _STEP
    while not enough(times):
        times *= _STEP
        if times > _MOST_TIMES:
            return None
    more = samples * (times - 1)
    unit = 10.0 ** max(math.floor(math.log10(max(more, 1.0))) - 1, 0)
    return int(math.ceil(more / unit) * unit)
