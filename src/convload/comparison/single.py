"""Compares two runs by what varies within each: one run a side."""

import math

import msgspec
from scipy import special

from convload.comparison.batches import FEWEST_BATCHES, Batch
from convload.comparison.outcomes import STATISTICS, Difference, Minimum, Shift, told, untold
from convload.comparison.resampling import TIMES, Sample, Spread, bootstrap


class Rule(msgspec.Struct, frozen=True):
    """How differences are judged; `confidence` is that no statistic of a comparison raises a false alarm."""

    confidence: float
    minimum: Minimum = Minimum()

    def each(self, statistics: int) -> float:
        """Returns the confidence of the interval of each of so many statistics, all sharing the risk (Bonferroni)."""
        return 1 - (1 - self.confidence) / max(statistics, 1)

    @property
    def one_sided(self) -> float:
        """The confidence of a two-sided interval each end of which has the risk alone."""
        return 1 - 2 * (1 - self.confidence)


class Pair(msgspec.Struct, frozen=True):
    """One step of both sides."""

    base: Sample
    new: Sample


def compare_batches(base: dict[str, list[Batch]], new: dict[str, list[Batch]], rule: Rule) -> list[Difference]:
    """Returns the differences of all steps; the sides are independent of each other."""
    steps = list(base) + [step for step in new if step not in base]
    pairs = {step: Pair(Sample(base.get(step, [])), Sample(new.get(step, []))) for step in steps}
    return [found for step in steps for found in _compare(step, pairs[step], rule, len(steps) * len(STATISTICS))]


def _compare(step: str, pair: Pair, rule: Rule, statistics: int) -> list[Difference]:
    each = rule.each(statistics)
    reasons = {name: unsupported(pair, name, each) for name in STATISTICS}
    sides = None if all(reasons.values()) else (bootstrap(pair.base), bootstrap(pair.new))
    found = []
    for name in STATISTICS:
        base, new = statistic(pair.base, name), statistic(pair.new, name)
        if sides is None or base is None or new is None or reasons[name]:
            found.append(untold(step, name, base, new, reasons[name]))
        else:
            found.append(told(step, name, base, new, _shift(pair, name, sides, rule, each), rule.minimum))
    return found


def statistic(sample: Sample, name: str) -> float | None:
    """Returns a statistic in its unit (ms, percent, per second); None where nothing was measured."""
    if name in TIMES:
        return sample.times.percentile(TIMES[name]) / 1000 if sample.times.count else None
    if not sample.counts.sum():
        return None
    return 100 * sample.error_share if name == "errors" else sample.rate


def tail_samples(percent: float, confidence: float) -> int:
    """Returns from how many samples on a percentile has a two-sided interval at all, whatever the distribution.

    Its upper end is the largest sample at best, and that lies below the percentile with probability q^n; so
    n >= ln(risk of one side) / ln q. David and Nagaraja, "Order Statistics", 3rd ed., §7.1.
    """
    return math.ceil(math.log((1 - confidence) / 2) / math.log(percent / 100))


def unsupported(
    pair: Pair,
    name: str,
    confidence: float,
    batches: str = "seconds of measured time",
    sides: tuple[str, str] = ("the base", "the new side"),
) -> str:
    """Says why a statistic cannot be compared; empty if it can. `batches` says what its batches are."""
    for side, sample in zip(sides, (pair.base, pair.new), strict=True):
        count = sample.times.count if name in TIMES else int(sample.counts.sum())
        if not count:
            return f"{side} has no such requests"
        if len(sample.batches) < FEWEST_BATCHES:
            return f"needs {FEWEST_BATCHES} {batches}, {side} has {len(sample.batches)}"
        needed = tail_samples(TIMES[name], confidence) if name in TIMES else 1
        if count < needed:
            return f"needs {needed:,} samples, {side} has {count:,}"
        if name == "rate" and not sample.rate:
            return f"{side} had no result within the measured time"
    return ""


def _shift(pair: Pair, name: str, sides: tuple[dict[str, Spread], dict[str, Spread]], rule: Rule, each: float) -> Shift:
    base, new = (statistic(sample, name) or 0.0 for sample in (pair.base, pair.new))
    spreads = [side[name] for side in sides]
    joint = joined(*spreads)
    bounds = [
        bound
        for confidence in (each, rule.one_sided)
        for bound in (
            of_shares(pair, spreads, quantile(confidence, joint.freedom))
            if name == "errors"
            else of_ratio(base, new, joint.error * quantile(confidence, joint.freedom))
        )
    ]
    return Shift(new - base, *bounds)


def joined(one: Spread, other: Spread) -> Spread:
    """Returns the spread of a difference of independent estimates (Welch 1947, Satterthwaite 1946)."""
    a, b = one.error**2, other.error**2
    if not math.isfinite(a + b):
        return Spread(math.inf, 1.0)
    freedom = (a + b) ** 2 / (a**2 / one.freedom + b**2 / other.freedom) if a + b else one.freedom + other.freedom
    return Spread(math.sqrt(a + b), freedom)


def quantile(confidence: float, freedom: float) -> float:
    """Returns how many standard errors a two-sided interval reaches to each side.

    Student's distribution, as few blocks leave the standard error itself uncertain. The quantiles of the replicates
    themselves would need far more blocks than a run has: at 99.9 % of all statistics they are its most extreme draws.
    """
    return float(special.stdtrit(freedom, (1 + confidence) / 2))


def of_ratio(base: float, new: float, reach: float) -> tuple[float, float]:
    """Returns the interval of a difference from that of the logarithm of the ratio, which `reach` is half of.

    Times and rates vary by factors: on their logarithm the error is symmetric, and to swap the sides negates it.
    """
    middle = math.log(new / base)
    return base * _less_one(middle - reach), base * _less_one(middle + reach)


def _less_one(exponent: float) -> float:
    return math.expm1(min(exponent, 700.0))  # beyond it a float ends


def of_shares(pair: Pair, spreads: list[Spread], z: float) -> tuple[float, float]:
    """Returns the interval of the difference of two error shares, in percentage points.

    Newcombe, "Interval estimation for the difference between independent proportions", Statistics in Medicine 17
    (1998), method 10: right where one side, or both, has no errors, which a bootstrap cannot know. Errors come in
    bursts, so each side counts as many requests as would, independent, vary as much as its seconds do.
    """
    (p1, low1, high1), (p2, low2, high2) = (
        (sample.error_share, *score(sample.error_share, _effective(sample, spread), z))
        for sample, spread in zip((pair.base, pair.new), spreads, strict=True)
    )
    difference = p2 - p1
    low = difference - math.hypot(p2 - low2, high1 - p1)
    high = difference + math.hypot(high2 - p2, p1 - low1)
    return 100 * low, 100 * high


def _effective(sample: Sample, spread: Spread) -> float:
    count, share = float(sample.counts.sum()), sample.error_share
    plain = share * (1 - share) / count
    return count / max(1.0, spread.error**2 / plain) if plain else count


def score(share: float, count: float, z: float) -> tuple[float, float]:
    """Returns Wilson's interval of a share for `z` standard errors; the count need not be whole."""
    middle = share + z * z / (2 * count)
    reach = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    scale = 1 + z * z / count
    return (middle - reach) / scale if share else 0.0, (middle + reach) / scale if share < 1 else 1.0
