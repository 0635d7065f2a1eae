"""Whether the capacity changed while the search went on: what a busy target gets done is asked again and again.

A target that is offered more than it can do gets its capacity done, whatever the time. Such trials are compared by the
logarithm of their rates: the sum of the squared distances from their mean, each over its variance, follows a χ²
distribution where the capacity was the same (Cochran, "The combination of estimates from different experiments", 1954).
The variance is that of counting, D/n with the index of dispersion D, and a floor below which no difference matters.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from scipy.special import chdtrc

from convload.capacity.posterior import Sustained, Tail, expected_gap, pooled_dispersion
from convload.results.capacity_result import Bounds, Change, Overloaded, Trial

CHANCE = 0.001
"""Rates that are equal differ by so much with this chance at most, else they are taken to differ."""

_FLOOR = 0.01
"""Relative: targets that are one percent faster or slower are the same for whoever asks for a capacity."""

_FEWEST_AFTER = 3
"""Equal rates from which on a capacity that rose counts as risen for good."""

_SURE = 2.0
"""Standard deviations below what was seen, for the worst."""

BEYOND = 1.05
"""A load that passes so many times above what was sustained shows that more is sustained."""


def busy(trials: Sequence[Trial]) -> list[tuple[Trial, Overloaded]]:
    """Returns the trials that show what the target gets done at most."""
    return [(trial, trial.overloaded) for trial in trials if trial.overloaded and trial.verdict == "fail"]


def pause_every_s(trials: Sequence[Trial]) -> float:
    """Returns how far apart pauses of the target are on average; 0 where fewer than two were seen."""
    seen = [one for _, one in busy(trials)]
    stalls = sum(one.stalls for one in seen)
    return sum(one.seconds for one in seen) / stalls if stalls > 1 else 0.0


def chance_of_one(seen: Sequence[Overloaded]) -> float:
    """Returns the probability of rates that are this far apart, if all are the same."""
    if len(seen) < 2:  # noqa: PLR2004 -- one differs from nothing
        return 1.0
    dispersion = pooled_dispersion(seen)
    rates = np.log([one.per_s for one in seen])
    weights = np.array([1 / (dispersion / (one.per_s * one.seconds) + _FLOOR**2) for one in seen])
    off = rates - np.average(rates, weights=weights)
    return float(chdtrc(len(seen) - 1, float(weights @ off**2)))


def change_of(trials: Sequence[Trial]) -> Change | None:
    """Returns how the capacity changed; None where it seems to be the same all along."""
    found = busy(trials)
    seen = [one for _, one in found]
    chance = chance_of_one(seen)
    if chance >= CHANCE:
        return None
    rates, at_s = [one.per_s for one in seen], [trial.at_s for trial, _ in found]
    first = _risen(seen)
    if first is not None and len(seen) - first >= _FEWEST_AFTER:
        return Change("rose", rates, at_s, chance, _from_s(trials, found, first))
    falls = all(after < before for before, after in pairwise(rates))
    return Change("fell" if falls else "varied", rates, at_s, chance)


def still_true(trials: Sequence[Trial]) -> list[Trial]:
    """Returns what holds since the capacity rose: loads that passed, and all trials from then on."""
    found = busy(trials)
    seen = [one for _, one in found]
    first = _risen(seen) if chance_of_one(seen) < CHANCE else None
    if first is None:
        return list(trials)
    from_s = _from_s(trials, found, first)
    return [trial for trial in trials if trial.at_s >= from_s or trial.verdict in {"pass", "generator"}]


def passed_beyond(trials: Sequence[Trial]) -> float | None:
    """Returns the load that passed since the last failure, well above what was sustained and what passed before.

    Where no trial showed what is sustained, all loads that failed stand for it.
    """
    last = max((n for n, trial in enumerate(trials) if trial.side == "fail"), default=-1)
    failed = max((trial.rate for trial in trials if trial.verdict == "fail"), default=math.inf)
    known = max((one.per_s for _, one in busy(trials)), default=failed)
    before = max((trial.rate for trial in trials[: last + 1] if trial.side == "pass"), default=0.0)
    after = max((trial.rate for trial in trials[last + 1 :] if trial.verdict == "pass"), default=0.0)
    return after if after > BEYOND * max(known, before) else None


def _risen(seen: Sequence[Overloaded]) -> int | None:
    """Returns the first from which on all are equal, and above all before."""
    for first in range(1, len(seen)):
        after = seen[first:]
        least = min(one.per_s for one in after) / BEYOND
        if chance_of_one(after) >= CHANCE and all(one.per_s < least for one in seen[:first]):
            return first
    return None


def _from_s(trials: Sequence[Trial], found: Sequence[tuple[Trial, Overloaded]], first: int) -> float:
    """Returns when the first load passed that could not have before."""
    before, (until, _) = found[first - 1][0], found[first]
    level = BEYOND * max(one.per_s for _, one in found[:first])
    between = (one for one in trials if before.at_s < one.at_s < until.at_s and one.side == "pass")
    return min((one.at_s for one in between if one.rate > level), default=until.at_s)


def worst_and_best(trials: Sequence[Trial], tail: Tail) -> Bounds:
    """Returns what a target whose capacity changes carries at its worst and at its best, as far as it was seen.

    At its worst it carries no more than any load that failed, and a queue's gap less than what it got done then.
    """
    found = busy(trials)
    seen = [one for _, one in found]
    dispersion = pooled_dispersion(seen)
    least = min(_kept(one, dispersion, tail) for one in seen)
    passed = [trial.rate for trial in trials if trial.side == "pass"]
    failed = [trial.rate for trial in trials if trial.verdict == "fail"]
    return Bounds(min(least, *failed), max(*passed, *(one.per_s for one in seen)))


def _kept(one: Overloaded, dispersion: float, tail: Tail) -> float:
    logs, spread = math.log(one.per_s), math.hypot(math.sqrt(dispersion / (one.per_s * one.seconds)), _FLOOR)
    gap = expected_gap(Sustained([logs], [1.0], dispersion, one.decay_per_s), tail)
    return math.exp(logs - _SURE * spread) * (1 - gap)
