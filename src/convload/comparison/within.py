"""Compares by what varies within a run: two runs, or two targets that were measured in turns in one.

In turns, what the machine does to both (a neighbour, a clock, a collection of the generator) stands in both windows of
a pair and falls out of their difference, so pairs tell far smaller differences than two runs do. Bulej et al., "Duet
benchmarking", ICPE 2020, found the error of such pairs 2.3 to 12.5 times smaller in clouds.
"""

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from convload.comparison.batches import FEWEST_BATCHES, Batch
from convload.comparison.counts import compare_shares
from convload.comparison.outcomes import STATISTICS, Difference, Rule, Shift, judged, not_judged
from convload.comparison.power import more_for_errors, more_for_time, quantile, tail_samples
from convload.comparison.resampling import (
    REPLICATES,
    TIMES,
    Floats,
    Sample,
    Spread,
    block_length,
    bootstrap,
    draw,
    joined,
    replicate,
    spread,
    statistic,
)
from convload.errors import UsageError

_FURTHEST = math.log(10)
"""An interval that reaches beyond a tenth and ten times of the base says nothing, and is not shown."""


class Pair(msgspec.Struct, frozen=True):
    """One step of both sides; `batches` names what their batches are, `names` the sides."""

    base: Sample
    new: Sample
    batches: str = "seconds of measured time"
    names: tuple[str, str] = ("the base", "the new side")


def compare_batches(base: dict[str, list[Batch]], new: dict[str, list[Batch]], rule: Rule) -> list[Difference]:
    """Returns the differences of all steps of two runs, which are independent of each other."""
    steps = list(base) + [step for step in new if step not in base]
    found = []
    for step in steps:
        pair = Pair(Sample(base.get(step, [])), Sample(new.get(step, [])))
        found += _compare(step, pair, rule, STATISTICS, len(steps))
    return found


def compare_paired(
    windows_a: list[Batch],
    windows_b: list[Batch],
    rule: Rule,
    step: str = "",
    *,
    names: Sequence[str] = STATISTICS,
    steps: int = 1,
) -> list[Difference]:
    """Returns the differences of target B from target A for one step.

    `windows_a[i]` and `windows_b[i]` are the two windows of pair i, measured next to each other; the order within the
    pair should alternate (A B, B A, …), so that a drift favours neither. Both windows of a pair are drawn together.
    `names` are the statistics that are asked for; `steps` is how many steps share the risk of a false alarm.
    Raises UsageError where windows do not pair off.
    """
    if len(windows_a) != len(windows_b):
        raise UsageError(f"paired windows: A has {len(windows_a)} and B has {len(windows_b)}; each needs its partner")
    pair = Pair(Sample(windows_a), Sample(windows_b), "pairs of windows", ("A", "B"))
    return _compare(step, pair, rule, names, steps, paired=True)


def _compare(
    step: str, pair: Pair, rule: Rule, names: Sequence[str], steps: int, *, paired: bool = False
) -> list[Difference]:
    each = rule.each(steps * len(names))
    reasons = {name: _unsupported(pair, name, each) for name in names}
    spreads: dict[str, Spread] = {}
    if not all(reasons.values()):
        spreads = _spreads_of_pairs(pair) if paired else _spreads_of_runs(pair)
    found = []
    for name in names:
        base, new = statistic(pair.base, name), statistic(pair.new, name)
        if base is None or new is None or reasons[name]:
            found.append(not_judged(step, name, base, new, reasons[name]))
        elif name == "errors":
            shift, p = compare_shares(pair.base, pair.new, each, rule.one_sided)
            more = more_for_errors(pair.base, pair.new, rule, each, rule.minimum.of(name, base) / 100)
            p = min(1.0, p * steps * len(names))
            found.append(judged(step, name, base, new, shift, rule.minimum, p=p, more_samples=more))
        elif name not in spreads:
            found.append(not_judged(step, name, base, new, "too few of the windows have such requests"))
        else:
            more = more_for_time(spreads[name], _samples(pair, name), rule, each, rule.minimum.of(name, base) / base)
            shift = _shift(base, new, spreads[name], rule, each)
            found.append(judged(step, name, base, new, shift, rule.minimum, more_samples=more))
    return found


def _samples(pair: Pair, name: str) -> int:
    return min(one.times.count if name in TIMES else int(one.counts.sum()) for one in (pair.base, pair.new))


def _unsupported(pair: Pair, name: str, confidence: float) -> str:
    """Says why a statistic cannot be compared; empty if it can."""
    for side, sample in zip(pair.names, (pair.base, pair.new), strict=True):
        count = sample.times.count if name in TIMES else int(sample.counts.sum())
        if not count:
            return f"{side} has no such requests"
        if len(sample.batches) < FEWEST_BATCHES:
            return f"needs {FEWEST_BATCHES} {pair.batches}, {side} has {len(sample.batches)}"
        needed = tail_samples(TIMES[name], confidence) if name in TIMES else 1
        if count < needed:
            return f"needs {needed:,} samples, {side} has {count:,}"
        if name == "rate" and not sample.rate:
            return f"{side} had no result within the measured time"
    return ""


def _spreads_of_runs(pair: Pair) -> dict[str, Spread]:
    base, new = bootstrap(pair.base), bootstrap(pair.new)
    return {name: joined(base[name], new[name]) for name in base.keys() & new.keys()}


def _spreads_of_pairs(pair: Pair) -> dict[str, Spread]:
    """Returns of each statistic the spread of the difference, where every draw of windows holds requests of it."""
    of_base, of_new = pair.base.deviations(), pair.new.deviations()
    ranges, found = [(0, len(pair.base.batches))], {}
    for name in of_base.keys() & of_new.keys():
        block = block_length([of_new[name] - of_base[name]])
        weights = draw(ranges, block, REPLICATES)
        if all(_drawn(sample, weights, name) for sample in (pair.base, pair.new)):
            shifts = replicate(pair.new, weights, name) - replicate(pair.base, weights, name)
            if np.isfinite(shifts).all():
                found[name] = spread(name, shifts, ranges, block)
    return found


def _drawn(sample: Sample, weights: Floats, name: str) -> bool:
    counts = sample.matrix.sum(axis=1) if name in TIMES else sample.counts
    return bool((weights @ counts > 0).all())


def _shift(base: float, new: float, joint: Spread, rule: Rule, each: float) -> Shift:
    reaches = [joint.error * quantile(confidence, joint.freedom) for confidence in (each, rule.one_sided)]
    bounds = [bound for reach in reaches for bound in bounds_of_ratio(base, new, reach)]
    return Shift(new - base, *bounds)


def bounds_of_ratio(base: float, new: float, reach: float) -> tuple[float, float]:
    """Returns the interval of a difference from that of the logarithm of the ratio, which `reach` is half of.

    Times and rates vary by factors: on their logarithm the error is symmetric, and to swap the sides negates it.
    Endless where it would reach further than anybody can use.
    """
    middle = math.log(new / base)
    if not reach <= _FURTHEST:
        return -math.inf, math.inf
    return base * math.expm1(middle - reach), base * math.expm1(middle + reach)
