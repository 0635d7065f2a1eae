"""Compares two targets that were measured in turns in one run, window beside window.

What the machine does to both (a neighbour, a clock, a collection of the generator) stands in both windows of a pair
and falls out of their difference, so pairs tell far smaller differences than two runs do. Bulej et al., "Duet
benchmarking", ICPE 2020, found the error of such pairs 2.3 to 12.5 times smaller in clouds.
"""

from collections.abc import Sequence

import numpy as np

from convload.comparison.batches import Batch
from convload.comparison.outcomes import STATISTICS, Difference, Shift, told, untold
from convload.comparison.resampling import (
    REPLICATES,
    TIMES,
    Floats,
    Sample,
    Spread,
    block_length,
    draw,
    replicate,
    spread,
)
from convload.comparison.single import Pair, Rule, of_ratio, of_shares, quantile, statistic, unsupported
from convload.errors import UsageError


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

    Raises:
        UsageError: the windows do not pair off.
    """
    if len(windows_a) != len(windows_b):
        raise UsageError(f"paired windows: A has {len(windows_a)} and B has {len(windows_b)}; each needs its partner")
    pair = Pair(Sample(windows_a), Sample(windows_b))
    each = rule.each(steps * len(names))
    reasons = {name: unsupported(pair, name, each, "pairs of windows", ("A", "B")) for name in names}
    spreads = {} if all(reasons.values()) else _spreads(pair)
    found = []
    for name in names:
        base, new = statistic(pair.base, name), statistic(pair.new, name)
        if base is None or new is None or reasons[name]:
            found.append(untold(step, name, base, new, reasons[name]))
        elif name not in spreads:
            found.append(untold(step, name, base, new, "too few of the windows have such requests"))
        else:
            found.append(told(step, name, base, new, _shift(pair, name, spreads[name], rule, each), rule.minimum))
    return found


def _spreads(pair: Pair) -> dict[str, list[Spread]]:
    """Returns of each statistic the spread of the difference, then of each side."""
    of_base, of_new = pair.base.deviations(), pair.new.deviations()
    ranges, found = [(0, len(pair.base.batches))], {}
    for name in of_base.keys() & of_new.keys():
        block = block_length([of_new[name] - of_base[name]])
        weights = draw(ranges, block, REPLICATES)
        if not all(_drawn(sample, weights, name) for sample in (pair.base, pair.new)):
            continue
        base, new = (replicate(sample, weights, name) for sample in (pair.base, pair.new))
        if _known(base) and _known(new):
            found[name] = [spread(name, values, ranges, block) for values in (new - base, base, new)]
    return found


def _drawn(sample: Sample, weights: Floats, name: str) -> bool:
    """Says whether every draw of windows holds requests of which the statistic can be made."""
    counts = sample.matrix.sum(axis=1) if name in TIMES else sample.counts
    return bool((weights @ counts > 0).all())


def _known(values: Floats) -> bool:
    return bool(np.isfinite(values).all())


def _shift(pair: Pair, name: str, spreads: list[Spread], rule: Rule, each: float) -> Shift:
    """Shares are taken as independent: what both lose together widens the interval and never narrows it."""
    base, new = (statistic(sample, name) or 0.0 for sample in (pair.base, pair.new))
    joint, *sides = spreads
    bounds = [
        bound
        for confidence in (each, rule.one_sided)
        for bound in (
            of_shares(pair, sides, quantile(confidence, joint.freedom))
            if name == "errors"
            else of_ratio(base, new, joint.error * quantile(confidence, joint.freedom))
        )
    ]
    return Shift(new - base, *bounds)
