"""Compares repeated runs of each side by what varies between runs: several runs a side.

A process that is started again settles at a value of its own (memory layout, connections, where the kernel puts it), so
that runs differ by more than the noise within each tells; Zhang et al., "Treadmill", ISCA 2016, call it hysteresis and
repeat whole runs. Only repeated runs know this noise, and nothing but their order is taken from them.
"""

import math
from collections.abc import Iterator
from itertools import combinations

import msgspec
import numpy as np

from convload.comparison.batches import Batch
from convload.comparison.outcomes import STATISTICS, Difference, Rule, Shift, judged, not_judged
from convload.comparison.samples import TIMES, Floats, Sample, statistic
from convload.results.histogram import chance, samples_needed

MOST_SPLITS = 20_000
"""With more ways to deal the runs out, so many of them are drawn: enough for p to two digits at 1 %."""

_SEED = 1


class Values(msgspec.Struct, frozen=True):
    """One statistic of each run of both sides."""

    step: str
    statistic: str
    base: list[float]
    new: list[float]


def compare_repeats(
    base: list[dict[str, list[Batch]]], new: list[dict[str, list[Batch]]], rule: Rule
) -> list[Difference]:
    """Returns the differences between the medians of the sides, with Hodges and Lehmann's shift and its interval."""
    known, differences = [], []
    for step in _steps([*base, *new]):
        samples = [[Sample(run.get(step, [])) for run in side] for side in (base, new)]
        for name in STATISTICS:
            sides = [[_value(sample, name) for sample in side] for side in samples]
            values = [[value for value in side if value is not None] for side in sides]
            if min(map(len, values)) < min(map(len, sides)) or min(map(len, values)) < 1:
                needed = samples_needed(TIMES[name]) if name in TIMES else 1
                differences.append(not_judged(step, name, None, None, f"needs {needed:,} samples in every run"))
            else:
                known.append(Values(step, name, *values))
    return [*_judged(known, rule), *differences] if known else differences


def smallest_p(base: int, new: int) -> float:
    """Returns the smallest two-sided p that so many runs can reach: when all of one side lie above the other."""
    return min(1.0, 2 / math.comb(base + new, base))


def runs_needed(confidence: float) -> int:
    """Returns how many runs a side are the fewest that can reach a confidence."""
    return next(runs for runs in range(2, 100) if smallest_p(runs, runs) <= 1 - confidence)


def _judged(known: list[Values], rule: Rule) -> Iterator[Difference]:
    runs = len(known[0].base), len(known[0].new)
    if smallest_p(*runs) > 1 - rule.confidence:
        needed = runs_needed(rule.confidence)
        why = (
            f"{runs[0]} and {runs[1]} runs reach p {chance(smallest_p(*runs))} at best; "
            f"{100 * rule.confidence:g} % need {needed} a side"
        )
        for one in known:
            yield not_judged(one.step, one.statistic, _median(one.base), _median(one.new), why)
        return
    for one, p in zip(known, together(known), strict=True):
        # All differences of the runs lie in it, where the runs cannot bound it.
        sides, shift = (_median(one.base), _median(one.new)), _shift(one, p, rule)
        yield judged(one.step, one.statistic, *sides, shift, rule.minimum, p=p, of="runs")


def together(known: list[Values]) -> list[float]:
    """Returns p of each statistic by Mann and Whitney's U, so that all together raise a false alarm no more often.

    The runs are dealt out to the sides anew, in all ways or in many, and p is how often any statistic comes out as far
    off as this one did: the single-step maxT of Westfall and Young, "Resampling-based multiple testing" (1993). It is
    exact, and as statistics of the same runs go together it costs less than Bonferroni: four runs a side still reach
    p = 0.029 for the lot. Mann and Whitney, Annals of Mathematical Statistics 18 (1947).
    """
    size = len(known[0].base)
    ranks = np.array([midranks([*one.base, *one.new]) for one in known])
    spread = ranks.std(axis=1)
    splits = _splits(ranks.shape[1], size)
    middle = size * (ranks.shape[1] + 1) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        off = np.abs(ranks @ splits.T - middle) / spread[:, None]
    off[~np.isfinite(off)] = 0.0  # all runs are equal
    highest = off.max(axis=0)
    return [float((highest >= one[0] - 1e-9).mean()) for one in off]


def midranks(values: list[float]) -> Floats:
    """Returns the rank of each value, from 1; equal ones share the middle of theirs."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[places]


def _splits(runs: int, size: int) -> Floats:
    """Returns splits × runs, 1 for the base; the first is the one that was measured."""
    if math.comb(runs, size) <= MOST_SPLITS:
        chosen = np.array(list(combinations(range(runs), size)))
    else:
        chance = np.random.default_rng(_SEED)
        drawn = chance.permuted(np.tile(np.arange(runs), (MOST_SPLITS, 1)), axis=1)[:, :size]
        chosen = np.concatenate([np.arange(size)[None, :], drawn])
    splits = np.zeros((len(chosen), runs))
    np.put_along_axis(splits, chosen, 1.0, axis=1)
    return splits


def _shift(one: Values, p: float, rule: Rule) -> Shift:
    """Returns the median of all differences between a new and a base run, and the intervals of it.

    Hodges and Lehmann, Annals of Mathematical Statistics 34 (1963); the interval as in Hollander and Wolfe,
    "Nonparametric statistical methods", §4.3. The alarm is the test's: where p is not small enough for all
    statistics together, the interval that raises it holds 0.
    """
    differences = np.sort(np.subtract.outer(one.new, one.base).ravel())
    low, high = _bounds(differences, len(one.base), len(one.new), rule.confidence)
    near_low, near_high = _bounds(differences, len(one.base), len(one.new), rule.one_sided)
    if p > 1 - rule.confidence:
        low, high = min(low, 0.0), max(high, 0.0)
    return Shift(float(np.median(differences)), low, high, near_low, near_high)


def _bounds(differences: Floats, base: int, new: int, confidence: float) -> tuple[float, float]:
    """Returns the interval of the shift; endless where even all differences do not reach the confidence."""
    below = np.cumsum(u_counts(base, new)) / math.comb(base + new, base)
    cut = int((below <= (1 - confidence) / 2 + 1e-12).sum())
    if cut < 1:
        return -math.inf, math.inf
    return float(differences[cut - 1]), float(differences[-cut])


def u_counts(base: int, new: int) -> Floats:
    """Returns in how many of the orders of so many runs U is 0, 1, 2 …: Mann and Whitney's own recurrence."""
    counts = np.ones(1)
    for i in range(1, new + 1):
        # Multiply by (1 - x^(base+i)) / (1 - x^i): the Gaussian binomial coefficient.
        grown = np.zeros(len(counts) + base)
        grown[: len(counts)] += counts
        wide = np.zeros(len(counts) + base + i)
        wide[: len(grown)] = grown
        wide[base + i :] -= counts[: len(wide) - base - i]
        for at in range(i, len(wide)):
            wide[at] += wide[at - i]
        counts = wide[: base * i + 1]
    return counts


def _value(sample: Sample, name: str) -> float | None:
    if name in TIMES and sample.times.count < samples_needed(TIMES[name]):
        return None
    return statistic(sample, name)


def _steps(runs: list[dict[str, list[Batch]]]) -> list[str]:
    return list(dict.fromkeys(step for run in runs for step in run))


def _median(values: list[float]) -> float:
    return float(np.median(values))
