"""Says how long runs must be to tell a difference, or that there is none, from how much one run varies.

A difference is found when it exceeds how far its interval reaches, and that by the error of a run times the quantile of
the power (Cohen, "Statistical power analysis", 1988). A run that is so many times longer is worth so many times more
independent requests, so its interval is that of the same times at other ranks.

How far requests depend on each other is what one run knows least, above all a short one: it is planned with the upper
bound of the design effect, and the largest of several levels. So what it says is the least.
"""

import math
from bisect import bisect_left
from collections.abc import Callable
from statistics import NormalDist

from scipy import special

from convload.comparison.batches import FEWEST_BATCHES
from convload.comparison.counts import Failures, difference_bounds, failures_of
from convload.comparison.outcomes import STATISTICS, Rule
from convload.comparison.samples import MOST_PARTS, TIMES, Sample
from convload.comparison.worth import Pair, Reach, reach_of_times
from convload.judging.dependence import LEVELS, Dependence, design_effect

PLANNED_POWER = 0.95
"""How often a difference of the wanted size is to be found; more than nine times in ten, as the run that is planned
from knows its own noise only roughly."""

POWER = 0.8
"""How often so many more samples as are advised tell what these did not."""

FOUND = 0.1
"""The difference that runs are planned for, unless told otherwise."""

_BEYOND = 0.05
"""How often the design effect may lie beyond its upper bound."""

_STEP = 1.05
_LONGEST_S = 7 * 86_400.0
_MOST_TIMES = 1000.0


def tail_samples(percent: float, confidence: float) -> int:
    """Returns from how many samples on a percentile has a two-sided interval at all, whatever the distribution.

    Its upper end is the largest sample at best, and that lies below the percentile with probability q^n; so
    n >= ln(risk of one side) / ln q. David and Nagaraja, "Order Statistics", 3rd ed., §7.1.
    """
    return math.ceil(math.log((1 - confidence) / 2) / math.log(percent / 100))


def seconds_needed(sample: Sample, statistic: str, rule: Rule, *, steps: int = 1, relative: float = FOUND) -> float:
    """Returns how many seconds each of two runs like this one must measure at least to find a difference of a time.

    What is found must leave out 0 at the confidence of all statistics together, and reach the minimum that counts, each
    with a probability of 0.95; endless where the difference is no larger than that minimum.
    """
    percent, dependence = TIMES[statistic], _feared(sample, TIMES[statistic])
    size, least = math.log1p(relative), math.log1p(rule.minimum.relative)
    each = rule.each(steps * len(STATISTICS))

    def reach(confidence: float, times: float) -> Reach:
        down, up = reach_of_times(sample, percent, dependence, (1 + confidence) / 2, times)
        return (math.hypot(down, up),) * 2

    def enough(seconds: float) -> bool:
        return _is_found(reach, seconds / sample.length_s, each, size, least, PLANNED_POWER)

    if size <= least:
        return math.inf
    seconds = _first(enough, FEWEST_BATCHES, _LONGEST_S)
    return math.inf if seconds is None else float(math.ceil(seconds))


def _feared(sample: Sample, percent: float) -> Dependence:
    """Returns how far requests may depend on each other at most: the upper bound of the largest effect of some levels.

    The sum of squares of b batches that the effect is made of has about a chi-squared distribution.
    """
    tables = [sample.above(level) for level in {percent, *LEVELS}]
    counts = tables[0][0]
    freedom = max(1, counts.shape[1] - int((counts.sum(axis=1) > 0).sum()))
    above = freedom / float(2 * special.gammaincinv(freedom / 2, _BEYOND))
    effect = max(1.0, *(design_effect(*table) for table in tables))
    return Dependence(effect * above, 2 * MOST_PARTS - 1, sample.length_s)


def _is_found(
    reach: Callable[[float, float], Reach], times: float, each: float, size: float, least: float, power: float
) -> bool:
    """Returns whether a difference (on the logarithm) is found so often in runs of so many times the requests."""
    far, sure = max(reach(each, times)), NormalDist().inv_cdf(power)
    error = far / NormalDist().inv_cdf((1 + each) / 2)
    return far + sure * error <= size and sure * error <= size - least


def more_for_time(
    reach: Callable[[float, float], Reach], samples: int, rule: Rule, each: float, least: float
) -> int | None:
    """Returns about how many more samples a side tell a time or a rate; `least` is the relative minimum.

    They are enough to rule out a difference of the minimum where there is none, and to find one of twice its size, each
    in four of five pairs of runs; None where no reasonable number does it.
    """
    small, large = math.log1p(least), math.log1p(2 * least)
    both, of_near = (NormalDist().inv_cdf((1 + share) / 2) for share in (POWER, rule.one_sided))

    def enough(times: float) -> bool:
        near = max(reach(rule.one_sided, times))
        return near * (1 + both / of_near) <= small and _is_found(reach, times, each, large, small, POWER)

    return _more(samples, enough)


def more_for_errors(pair: Pair, rule: Rule, each: float, least: float) -> int | None:
    """Returns the same for a share of errors; `least` is the minimum as a share."""
    known = failures_of(pair, each)
    sizes = [one.count for one in known]
    share = sum(one.failed for one in known) / sum(sizes)
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

    return _more(int(min(side.counts.sum() for side in pair.sides)), enough)


def _more(samples: int, enough: Callable[[float], bool]) -> int | None:
    """Returns how many samples more are enough, to two digits."""
    times = _first(enough, _STEP, _MOST_TIMES)
    if times is None:
        return None
    more = samples * (times - 1)
    unit = 10.0 ** max(math.floor(math.log10(max(more, 1.0))) - 1, 0)
    return int(math.ceil(more / unit) * unit)


def _first(enough: Callable[[float], bool], least: float, most: float) -> float | None:
    """Returns the smallest size that is enough, to a step of a twentieth; None where none up to the largest is."""
    steps = range(math.ceil(math.log(most / least) / math.log(_STEP)) + 1)
    at = bisect_left(steps, True, key=lambda step: enough(least * _STEP**step))
    return least * _STEP**at if at < len(steps) else None
