"""Finds where a series of runs changes its level, and says which changes are more than chance.

Changes are placed by PELT (Killick, Fearnhead and Eckley, "Optimal detection of changepoints with a linear
computational cost", JASA 107, 2012; the library ruptures) with a cost of ranks (Lung-Yut-Fong, Lévy-Leduc and Cappé,
2015), which an outlier moves no further than any other run does. A change counts when a test of the runs before
against those after supports it and it is large enough to matter: the rule of MongoDB's and DataStax's Hunter, now
Apache Otava (arXiv 2003.00584, 2301.03034), with Mann and Whitney's U in place of its t-test, as times are not normal.
"""

import functools
import math
from itertools import pairwise

import msgspec
import numpy as np
import ruptures

from convload.comparison.repeated import Values, midranks, smallest_p, together
from convload.results.histogram import chance

RISK = 0.01
"""Of a change that is none: in the whole series for the search, and of each place for the test."""

FEWEST_AROUND = 3
"""Runs between two changes: fewer are a visit, not a level."""

FEWEST_RUNS = 10
"""With fewer, even a clean step in the middle is not rarer than one in a hundred among shuffled runs."""

_SHUFFLES = 4000
_SEED = 1


class Change(msgspec.Struct, frozen=True):
    """A change of level; `at` is the first place of the new level. Levels are medians, up to the next changes.

    `p` is by Mann and Whitney's U; a change that is not `confirmed` is told as possible, and `why` says what it lacks.
    """

    at: int
    before: float
    after: float
    p: float
    confirmed: bool
    why: str = ""

    @property
    def relative(self) -> float | None:
        """By how much of the old level it changed; None where that is 0."""
        return self.after / self.before - 1 if self.before else None


def changes(values: list[float], *, least_relative: float, least_absolute: float) -> list[Change]:
    """Returns the changes of a series in order; none for a series that is too short to know any.

    A change matters that reaches both minima, the relative one of the level before.
    """
    edges = [0, *_places(values), len(values)]
    found = []
    for start, at, end in zip(edges, edges[1:], edges[2:], strict=False):
        change = weigh(values[start:at], values[at:end], at)
        least = max(least_relative * abs(change.before), least_absolute)
        if abs(change.after - change.before) >= least:
            found.append(change)
    return found


def _places(values: list[float], offset: int = 0) -> list[int]:
    """Returns where the level changes; each stretch is searched again by its own ranks.

    Ranks of the whole series tell how many runs lie between two levels and not how far they are apart, so a change
    beside a larger one would be lost.
    """
    if len(values) < FEWEST_RUNS or len(set(values)) == 1:
        return []
    ranks = midranks(values).reshape(-1, 1)
    search = ruptures.Pelt(model="rank", min_size=FEWEST_AROUND, jump=1).fit(ranks)
    edges = [0, *search.predict(pen=penalty(len(values)))]
    if len(edges) == len((0, len(values))):
        return []
    inner = [place for low, high in pairwise(edges) for place in _places(values[low:high], offset + low)]
    return sorted([*(offset + at for at in edges[1:-1]), *inner])


@functools.cache
def penalty(runs: int) -> float:
    """Returns what a change must gain in the cost of ranks, for so many runs.

    The gain of the best single change among shuffled runs exceeds it once in a hundred series: ranks have the same
    distribution whatever is measured, so shuffling tells it once and for all (Pettitt, "A non-parametric approach to
    the change-point problem", Applied Statistics 28, 1979, for a single change).
    """
    chance = np.random.default_rng(_SEED)
    ranks = chance.permuted(np.tile(np.arange(runs) - (runs - 1) / 2, (_SHUFFLES, 1)), axis=1)
    places = np.arange(1, runs)
    # Half the sums stand left of a change, and as ranks are centred the right half is their negative.
    gains = np.cumsum(ranks, axis=1)[:, :-1] ** 2 * (1 / places + 1 / (runs - places)) / ranks[0].var()
    allowed = (places >= FEWEST_AROUND) & (places <= runs - FEWEST_AROUND)
    return float(np.quantile(gains[:, allowed].max(axis=1), 1 - RISK, method="higher")) * (1 + 1e-9)


def weigh(before: list[float], after: list[float], at: int) -> Change:
    """Tests the runs of the level before against those of the level after."""
    p = together([Values("", "", before, after)])[0]
    reach = smallest_p(len(before), len(after))
    why = ""
    if reach > RISK:
        why = f"{len(before)} runs before and {len(after)} after reach p {chance(reach)} at best, it must be {RISK:g}"
    elif p > RISK:
        why = f"p {chance(p)} is above {RISK:g}"
    return Change(at, float(np.median(before)), float(np.median(after)), p, not why, why)


def levels(values: list[float | None], found: list[Change]) -> list[float | None]:
    """Returns for each place the median of its stretch between confirmed changes; None for a series of nothing."""
    edges = [0, *(change.at for change in found if change.confirmed), len(values)]
    steps: list[float | None] = []
    for start, end in pairwise(edges):
        known = [value for value in values[start:end] if value is not None and math.isfinite(value)]
        steps += [float(np.median(known)) if known else None] * (end - start)
    return steps
