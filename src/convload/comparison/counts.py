"""Tests whether two shares of failed requests differ, also where failures come in bursts.

If requests failed independently of each other, Fisher's test would be exact: 0 of 3,034 against 26 of 2,037 has
p = 1e-10. They need not. A server that is gone for a second fails 26 requests at once, and that is one event: against
none it says nothing. How much more the number of failures varies than a binomial one does is the *design effect*, and
Rao and Scott ("A simple method for the analysis of clustered binary data", Biometrics 48, 1992) divide failures and
requests by it and go on as if they were independent.

It is the one that gates take (judging/dependence.py), of the difference of both sides (worth.py): by how much the
failures of parts of the run vary more than independent ones do. All failures in one part are one event; failures that
are spread evenly count as many. A burst that lasts a good part of the run is, in one run, the same as a level.

The interval of the difference joins the exact bounds of both shares (Clopper and Pearson) by Newcombe's method 10,
known as MOVER (Zou and Donner, Statistics in Medicine 27, 2008). It leaves out 0 where Fisher's test rejects, to one
failure or so; the test decides. Barnard's or Boschloo's test finds a failure less at best, and takes SciPy minutes for
2,000 requests a side.
"""

import math
from typing import Any

import msgspec
import numpy as np
from scipy import special

from convload.comparison.outcomes import Shift
from convload.comparison.samples import Floats
from convload.comparison.worth import Pair, dependences
from convload.judging.estimates import share_bounds


class Failures(msgspec.Struct, frozen=True):
    """Failures and requests of one side, divided by the design effect."""

    failed: float
    count: float

    @property
    def share(self) -> float:
        """Failed requests of all."""
        return self.failed / self.count


def compare_shares(pair: Pair, each: float, one_sided: float) -> tuple[Shift, float]:
    """Returns the difference of two shares of errors in percentage points, with its intervals, and p of no difference.

    `each` is the confidence of the interval that raises alarms, `one_sided` of the one that says that nothing happened.
    """
    sides, near = (failures_of(pair, confidence) for confidence in (each, one_sided))
    p = fisher_p(*sides)
    low, high = difference_bounds(*sides, each)
    if p > 1 - each:
        low, high = min(low, 0.0), max(high, 0.0)
    bounds = (low, high, *difference_bounds(*near, one_sided))
    difference = pair.new.error_share - pair.base.error_share
    return Shift(100 * difference, *(100 * bound for bound in bounds)), p


def failures_of(pair: Pair, confidence: float) -> tuple[Failures, Failures]:
    """Returns how many independent requests each side is worth for a two-sided interval, and how many failed."""
    worths = (
        one.worth(float(side.counts.sum()), (1 + confidence) / 2)
        for one, side in zip(dependences(pair, "errors"), pair.sides, strict=True)
    )
    base, new = (Failures(side.error_share * worth, worth) for side, worth in zip(pair.sides, worths, strict=True))
    return base, new


def fisher_p(base: Failures, new: Failures) -> float:
    """Returns p of Fisher's exact test, two-sided by doubling the smaller tail; counts are taken to whole numbers.

    Fisher, "Statistical methods for research workers", §21.02: given all failures, those of one side are
    hypergeometric.
    """
    of_base, of_new = (max(round(side.count), round(side.failed), 1) for side in (base, new))
    hits, failed = round(new.failed), round(base.failed) + round(new.failed)
    possible = np.arange(max(0, failed - of_base), min(failed, of_new) + 1, dtype=np.float64)
    logarithms = _choices(of_new, possible) + _choices(of_base, failed - possible) - _choices(of_base + of_new, failed)
    chances = np.exp(logarithms)
    return min(1.0, 2 * float(min(chances[possible <= hits].sum(), chances[possible >= hits].sum())))


def _choices(count: int, chosen: Floats | int) -> Any:
    return special.gammaln(count + 1) - special.gammaln(chosen + 1) - special.gammaln(count - chosen + 1)


def difference_bounds(base: Failures, new: Failures, confidence: float) -> tuple[float, float]:
    """Returns the two-sided interval of the difference of two shares, new less base."""
    each = (1 + confidence) / 2
    (low1, high1), (low2, high2) = (share_bounds(side.failed, side.count, each) for side in (base, new))
    difference = new.share - base.share
    low = difference - math.hypot(new.share - low2, high1 - base.share)
    return low, difference + math.hypot(high2 - new.share, base.share - low1)
