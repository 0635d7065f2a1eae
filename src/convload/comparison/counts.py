"""Tests whether two shares of failed requests differ, also where failures come in bursts.

If requests failed independently of each other, Fisher's test would be exact: 0 of 3,034 against 26 of 2,037 has
p = 1e-10. They need not. A server that is gone for a second fails 26 requests at once, and that is one event: against
none it says nothing. How much more the number of failures varies than a binomial one does is the *design effect*, and
Rao and Scott ("A simple method for the analysis of clustered binary data", Biometrics 48, 1992) divide failures and
requests by it and go on as if they were independent.

It is estimated from failures f of n requests in batches of a second, with the share p of their own side and stage, so
that a difference between sides or stages is not taken for bursts:

    D = sum of (f - p n)² / sum of n p (1 - p)

- All failures in one batch give D = f, and so one event; failures that are spread evenly give 1. As D is about the sum
  of f² by the sum of f, what is left of the failures, f / D, never exceeds the number of bursts.
- A burst may last longer than a batch, so D is taken of blocks of 1, 2, 4 … batches up to half the run too, around the
  end to the start, and the largest counts. Where long blocks have more than chance gives them (two standard errors
  above single batches) failures have a memory; then few blocks tell it too small as often as too large, and the bound
  below which it lies in nine of ten runs takes its place.
- Both sides are divided by the same D, of both together, each weighing by its failures. In the hypothesis that is
  tested both have the same bursts, and a side without failures says nothing of how they would come.

What it cannot know: a burst that lasts a good part of the run is, in one run, the same as a level. False alarms keep to
their rate where bursts last up to a tenth of it; tests/comparison/test_counts.py and docs/compare.md have the figures.

The interval of the difference joins the exact bounds of both shares (Clopper and Pearson) by Newcombe's method 10,
known as MOVER (Zou and Donner, Statistics in Medicine 27, 2008). It leaves out 0 where Fisher's test rejects, to one
failure or so; the test decides. Barnard's or Boschloo's test finds a failure less at best, and takes SciPy minutes for
2,000 requests a side.
"""

import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from scipy import special

from convload.comparison.batches import strata
from convload.comparison.outcomes import Shift
from convload.comparison.resampling import Floats, Sample
from convload.judging.estimates import share_bounds

_MEMORY = 2.0
"""Standard errors by which blocks vary more than single batches where failures have a memory."""

_BEYOND = 0.1
"""How often the design effect of blocks with a memory may lie beyond its bound."""


class Failures(msgspec.Struct, frozen=True):
    """Failures and requests of one side, divided by the design effect."""

    failed: float
    count: float

    @property
    def share(self) -> float:
        """Failed requests of all."""
        return self.failed / self.count


def design_effect(sides: Sequence[Sample]) -> float:
    """Returns by how many times more the failures of all sides vary than independent ones; at least 1."""
    residuals, plain = [], 0.0
    for sample in sides:
        for low, high in strata(sample.batches):
            failed, counts = sample.failed[low:high], sample.counts[low:high]
            share = failed.sum() / max(counts.sum(), 1)
            if 0 < share < 1 and high - low > 1:
                residuals.append(failed - share * counts)
                plain += float(counts.sum() * share * (1 - share))
    if not residuals:
        return 1.0
    single = largest = max(1.0, _variance(residuals, 1) / plain)
    block = 2
    while block <= max(map(len, residuals)) / 2:
        effect = _variance(residuals, block) / plain
        # Blocks that overlap are worth half as many again as those that do not.
        freedom = max(1.0, sum(1.5 * len(part) / _fitting(block, part) - 1 for part in residuals))
        if effect > single * (1 + _MEMORY * math.sqrt(2 / freedom)):
            effect *= freedom / float(2 * special.gammaincinv(freedom / 2, _BEYOND))
        largest = max(largest, effect)
        block *= 2
    return largest


def _variance(residuals: list[Floats], block: int) -> float:
    """Returns the variance of the sum of all residuals, from the sums of blocks."""
    total = 0.0
    for part in residuals:
        length = _fitting(block, part)
        sums = np.convolve(np.concatenate([part, part[: length - 1]]), np.ones(length), mode="valid")
        # The share was estimated from the same batches, which takes one block's part away.
        total += float(sums @ sums) / length / (1 - length / len(part))
    return total


def _fitting(block: int, part: Floats) -> int:
    """Returns the length of a block in this stage, of which it holds two at least."""
    return min(block, len(part) // 2)


def compare_shares(base: Sample, new: Sample, each: float, one_sided: float) -> tuple[Shift, float]:
    """Returns the difference of two shares of errors in percentage points, with its intervals, and p of no difference.

    `each` is the confidence of the interval that raises alarms, `one_sided` of the one that says that nothing happened.
    """
    effect = design_effect([base, new])
    sides = [Failures(float(one.failed.sum()) / effect, float(one.counts.sum()) / effect) for one in (base, new)]
    p = fisher_p(sides[0], sides[1])
    low, high = difference_bounds(sides[0], sides[1], each)
    if p > 1 - each:
        low, high = min(low, 0.0), max(high, 0.0)
    bounds = (low, high, *difference_bounds(sides[0], sides[1], one_sided))
    return Shift(100 * (new.error_share - base.error_share), *(100 * bound for bound in bounds)), p


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
