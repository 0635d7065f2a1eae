"""Compares by what varies within a run: two runs, or two targets that were measured in turns in one.

In turns, what the machine does to both (a neighbour, a clock, a collection of the generator) stands in both windows of
a pair and falls out of their difference, so pairs tell far smaller differences than two runs do. Bulej et al., "Duet
benchmarking", ICPE 2020, found the error of such pairs 2.3 to 12.5 times smaller in clouds.
"""

import math
from collections.abc import Sequence

from convload.comparison.batches import FEWEST_BATCHES, Batch
from convload.comparison.counts import compare_shares
from convload.comparison.outcomes import STATISTICS, UNKNOWN, Difference, Rule, Shift, judge, judged, not_judged
from convload.comparison.power import more_for_errors, more_for_time, tail_samples
from convload.comparison.samples import TIMES, Sample, statistic
from convload.comparison.worth import Joint, Pair, Reach
from convload.errors import UsageError

_FURTHEST = math.log(10)
"""An interval that reaches beyond a tenth and ten times of the base says nothing, and is not shown."""


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
    pair should alternate (A B, B A, …), so that a drift favours neither.
    `names` are the statistics that are asked for; `steps` is how many steps share the risk of a false alarm.
    Raises UsageError where windows do not pair off.
    """
    if len(windows_a) != len(windows_b):
        raise UsageError(f"paired windows: A has {len(windows_a)} and B has {len(windows_b)}; each needs its partner")
    # Between two windows of a target lie those of the other, so each is a part on its own.
    side_a, side_b = (Sample(side, part_s=1e-3) for side in (windows_a, windows_b))
    pair = Pair(side_a, side_b, in_turns=True, names=("A", "B"))
    return _compare(step, pair, rule, names, steps)


def _compare(step: str, pair: Pair, rule: Rule, names: Sequence[str], steps: int) -> list[Difference]:
    each, found = rule.each(steps * len(names)), []
    for name in names:
        base, new = statistic(pair.base, name), statistic(pair.new, name)
        why = _unsupported(pair, name, each)
        if base is None or new is None or why:
            found.append(not_judged(step, name, base, new, why))
        elif name == "errors":
            found.append(_compare_errors(step, pair, rule, each, steps * len(names)))
        else:
            found.append(_compare_values(step, name, pair, rule, each))
    return found


def _compare_errors(step: str, pair: Pair, rule: Rule, each: float, statistics: int) -> Difference:
    base, new = 100 * pair.base.error_share, 100 * pair.new.error_share
    shift, p = compare_shares(pair, each, rule.one_sided)
    more = None
    if judge("errors", base, shift, rule.minimum) == UNKNOWN:
        more = more_for_errors(pair, rule, each, rule.minimum.of("errors", base) / 100)
    return judged(step, "errors", base, new, shift, rule.minimum, p=min(1.0, p * statistics), more_samples=more)


def _compare_values(step: str, name: str, pair: Pair, rule: Rule, each: float) -> Difference:
    """Compares a time or a rate."""
    base, new = statistic(pair.base, name) or 0.0, statistic(pair.new, name) or 0.0
    joint = Joint(pair, name)
    bounds = [bound for each_of in (each, rule.one_sided) for bound in bounds_of_ratio(base, new, joint.reach(each_of))]
    shift, more = Shift(new - base, *bounds), None
    if judge(name, base, shift, rule.minimum) == UNKNOWN:
        more = more_for_time(joint.reach, _samples(pair, name), rule, each, rule.minimum.of(name, base) / base)
    return judged(step, name, base, new, shift, rule.minimum, more_samples=more)


def _samples(pair: Pair, name: str) -> int:
    return min(one.times.count if name in TIMES else int(one.counts.sum()) for one in pair.sides)


def _unsupported(pair: Pair, name: str, confidence: float) -> str:
    """Says why a statistic cannot be compared; empty if it can."""
    things = "pairs of windows" if pair.in_turns else "seconds of measured time"
    for side, sample in zip(pair.names, pair.sides, strict=True):
        count = sample.times.count if name in TIMES else int(sample.counts.sum())
        if not count:
            return f"{side} has no such requests"
        having = int((sample.counts > 0).sum())
        if having < FEWEST_BATCHES:
            of = "" if having == len(sample.batches) else " with such requests"
            return f"needs {FEWEST_BATCHES} {things}{of}, {side} has {having}"
        needed = tail_samples(TIMES[name], confidence) if name in TIMES else 1
        if count < needed:
            return f"needs {needed:,} samples, {side} has {count:,}"
        if name == "rate" and not sample.rate:
            return f"{side} had no result within the measured time"
    return ""


def bounds_of_ratio(base: float, new: float, reach: Reach) -> tuple[float, float]:
    """Returns the interval of a difference from how far that of the logarithm of the ratio reaches down and up.

    Endless where it would reach further than anybody can use.
    """
    middle = math.log(new / base)
    if not max(reach) <= _FURTHEST:
        return -math.inf, math.inf
    return base * math.expm1(middle - reach[0]), base * math.expm1(middle + reach[1])
