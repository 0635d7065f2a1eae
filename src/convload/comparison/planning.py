"""Says how long runs must be to tell a difference, from how much one run varies."""

import math
from statistics import NormalDist

from convload.comparison.batches import FEWEST_BATCHES
from convload.comparison.outcomes import STATISTICS
from convload.comparison.resampling import TIMES, Sample, bootstrap
from convload.comparison.single import Rule, quantile, tail_samples

POWER = 0.95
"""How often a difference of the wanted size is to be found; more than nine times in ten, as the run that is planned
from knows its own noise only roughly."""

FOUND = 0.1
"""The difference that runs are planned for, unless told otherwise."""

_STEP = 1.05
_LONGEST_S = 7 * 86_400.0


def seconds_needed(sample: Sample, statistic: str, rule: Rule, *, steps: int = 1, relative: float = FOUND) -> float:
    """Returns how many seconds each of two runs like this one must measure to find a relative difference of a time.

    The error of a run falls with the root of its length. What is found must leave out 0 at the confidence of all
    statistics together, and reach the minimum that counts, each with a probability of 0.95; endless where the
    difference is no larger than that minimum. The textbook sum of the two quantiles (Cohen, "Statistical power
    analysis", 1988) with Student's for the first, as the blocks of a short run are few.
    """
    found = bootstrap(sample)[statistic]
    size, above = math.log1p(relative), math.log1p(relative) - math.log1p(rule.minimum.relative)
    each, sure = rule.each(steps * len(STATISTICS)), NormalDist().inv_cdf(POWER)
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
