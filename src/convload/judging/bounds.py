"""Bounds that hold whatever the distribution is: of percentiles by order statistics, of shares by Clopper and Pearson.

Each bound is one-sided: the true value lies beyond it in at most 1 - confidence of all runs. A decision rests on one
bound only (to pass on the one towards the limit, to fail on the other), so this is the chance of a wrong decision; both
bounds together hold with 2 · confidence - 1.

They hold for independent samples. Requests of one run are not quite independent: a pause of the target slows down all
that are due in it, and what is left of the sample is worth less than its count. Nothing here corrects for that. The
validity rules look for a trend, windows ask a gate of each part of a run, and repeating the run is the real answer.
"""

import math
from importlib import import_module
from typing import Any

Bounds = tuple[float, float]


def percentile_ranks(count: int, percent: float, confidence: float) -> tuple[int | None, int | None]:
    """Returns the ranks, from 1 on, of the samples that bound a percentile below and above; None for no such sample.

    Of `count` samples, those below the percentile ξ are at most Binomial(count, p). So the sample of rank r is at
    least ξ unless r or more samples lie below it: P = F(r - 1; count, p). And it is at most ξ if r or more samples are
    at most ξ: P = 1 - F(r - 1; count, p). Exact for continuous distributions and on the safe side for others. David and
    Nagaraja, "Order Statistics", 3rd ed., §7.1; Conover, "Practical Nonparametric Statistics", 3rd ed., §3.2.
    """
    special, share = _special(), percent / 100
    high = _first(count, lambda rank: special.bdtr(rank - 1, count, share) >= confidence)
    beyond = _first(count, lambda rank: special.bdtrc(rank - 1, count, share) < confidence)
    low = count if beyond is None else beyond - 1
    return low or None, high


def share_bounds(hits: int, count: int, confidence: float) -> Bounds:
    """Returns the exact bounds of a share, each one-sided, both as numbers from 0 to 1.

    The lower is the share at which so many hits or more have the chance 1 - confidence, the upper that at which so few
    have it; Clopper and Pearson, "The use of confidence or fiducial limits", Biometrika 26 (1934).
    """
    special = _special()
    low = float(special.betaincinv(hits, count - hits + 1, 1 - confidence)) if hits else 0.0
    high = float(special.betaincinv(hits + 1, count - hits, confidence)) if hits < count else 1.0
    return low, high


def least_samples(share: float, confidence: float) -> int:
    """Returns the fewest samples whose greatest is above the quantile of `share`, with that confidence.

    All lie below it with the chance shareⁿ: 459 for the p99 at 99 %. The same number without a hit shows that hits are
    fewer than 1 - share.
    """
    count = max(1, math.floor(math.log(1 - confidence) / math.log(share)))
    while 1 - share**count < confidence:
        count += 1
    return count


def _first(count: int, holds: Any) -> int | None:
    """Returns the first rank for which something holds that holds for all after it, None if it never does."""
    low, high = 1, count + 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low if low <= count else None


def be_ready() -> None:
    """Loads what judging needs, so that the first judging in the middle of a run takes no longer than the others."""
    _special()


def _special() -> Any:
    # Loading SciPy takes long, and a command that judges nothing should not wait for it.
    return import_module("scipy.special")
