"""How many independent requests those of two sides are worth for the difference between them, and how far it reaches.

The bounds are those of gates (judging/dependence.py): requests count as what they are worth by the design effect, and
bounds of a percentile are order statistics of as many, of a share those of Clopper and Pearson. Here the effect is that
of the *difference*: if both sides are the same, what is known of how parts of the time differ is known from both.

    d_j = D_j / N              by how much the share of part j is off that of its side
    V = b/(b-1) Σ d_j²         the variance of a side's share; of two runs both are added up
    V = b/(b-1) Σ (d'_j - d_j)²   in turns: of the pairs of windows, so that what happened to both falls out
    effect = V / (s(1-s)/N + s'(1-s')/N')

A run that differs from the other in how its requests depend on each other counts by its own effect, if that is larger.
The interval of the difference joins the bounds of both sides by MOVER (Zou and Donner, "Construction of confidence
limits about effect measures", Statistics in Medicine 27, 2008), times and rates on their logarithm: they vary by
factors, and to swap the sides negates it.
"""

import math
from typing import NamedTuple

import msgspec

from convload.comparison.samples import TIMES, Floats, Sample
from convload.judging.dependence import Dependence, design_effect, deviations, special
from convload.judging.estimates import percentile_ranks

Reach = tuple[float, float]
"""How far a bound lies below a value and how far above it, as factors on their logarithm."""


class Pair(msgspec.Struct, frozen=True):
    """One step of both sides, by name. `in_turns`: batch i of one was measured beside batch i of the other."""

    base: Sample
    new: Sample
    in_turns: bool = False
    names: tuple[str, str] = ("the base", "the new side")

    @property
    def sides(self) -> tuple[Sample, Sample]:
        """Both."""
        return self.base, self.new


class _Parts(NamedTuple):
    """Of one side: things and hits by stratum and part, how far the share of each part is off, degrees of freedom."""

    counts: Floats
    hits: Floats
    off: Floats
    freedom: int

    @property
    def plain(self) -> float:
        """The variance of the share if all were independent."""
        share = self.hits.sum() / max(self.counts.sum(), 1)
        return float(share * (1 - share) / max(self.counts.sum(), 1))


def _parts(sample: Sample, name: str) -> _Parts:
    counts, hits = sample.table(name)
    off = deviations(counts, hits) / max(counts.sum(), 1e-9)
    return _Parts(counts, hits, off, max(1, counts.shape[1] - int((counts.sum(axis=1) > 0).sum())))


def _variance(sides: list[_Parts], *, in_turns: bool) -> tuple[float, int]:
    """Returns the variance of the difference of two shares, and the degrees of freedom that it is known with."""
    if in_turns:
        offs, freedom = [sides[1].off - sides[0].off], sides[0].freedom
    else:
        offs, freedom = [one.off for one in sides], sum(one.freedom for one in sides)
    corrected = (len(off) / one.freedom * float((off**2).sum()) for off, one in zip(offs, sides, strict=False))
    return sum(corrected), freedom


def dependences(pair: Pair, name: str) -> tuple[Dependence, Dependence]:
    """Returns how far the requests of each side depend on each other, as far as their difference is asked for."""
    sides = [_parts(sample, name) for sample in pair.sides]
    variance, freedom = _variance(sides, in_turns=pair.in_turns)
    plain = sum(one.plain for one in sides)
    joint = max(1.0, variance / plain if plain else 1.0)
    # What a share varies by is that of both; of a percentile a side also has a scale of its own.
    own = [1.0 if pair.in_turns or name not in TIMES else design_effect(one.counts, one.hits) for one in sides]
    of_base, of_new = (
        Dependence(max(joint, effect), freedom + 1, sample.length_s)
        for effect, sample in zip(own, pair.sides, strict=True)
    )
    return of_base, of_new


def reach_of_times(sample: Sample, percent: float, dependence: Dependence, confidence: float, times: float) -> Reach:
    """Returns how far a percentile's bounds reach in a run like this one with so many times the requests.

    Endless where they do not reach for a bound. `confidence` is that of each bound on its own.
    """
    worth = times * dependence.worth(sample.times.count, confidence)
    low, high = percentile_ranks(sample.times.count, percent, confidence, worth)
    value = math.log(max(1, sample.times.percentile(percent)))
    down = math.inf if low is None else value - math.log(max(1, sample.times.edges(low)[0]))
    return max(0.0, down), math.inf if high is None else max(0.0, math.log(max(1, sample.times.edges(high)[1])) - value)


class Joint:
    """How far the difference of a time or a rate reaches around what was measured."""

    def __init__(self, pair: Pair, name: str) -> None:
        self._pair, self._name = pair, name
        self._dependences = dependences(pair, name) if name in TIMES else ()
        self._spread = () if name in TIMES else _of_rates(pair)

    def reach(self, confidence: float, times: float = 1.0) -> Reach:
        """Returns it down and up, for two-sided intervals of a confidence and so many times the requests."""
        each = (1 + confidence) / 2
        if self._spread:
            error, freedom = self._spread
            reach = quantile(confidence, freedom) * error / math.sqrt(times)
            return reach, reach
        (down, up), (new_down, new_up) = (
            reach_of_times(sample, TIMES[self._name], dependence, each, times)
            for sample, dependence in zip(self._pair.sides, self._dependences, strict=True)
        )
        return math.hypot(new_down, up), math.hypot(new_up, down)


def _of_rates(pair: Pair) -> tuple[float, int]:
    """Returns the standard error of the logarithm of the ratio of two rates, and its degrees of freedom."""
    sides = [_parts(sample, "rate") for sample in pair.sides]
    relative = [one._replace(off=one.off / (one.hits.sum() / one.counts.sum())) for one in sides]
    variance, freedom = _variance(relative, in_turns=pair.in_turns)
    return math.sqrt(variance), freedom


def quantile(confidence: float, freedom: float) -> float:
    """Returns how many standard errors a two-sided interval reaches to each side, by Student's distribution."""
    return float(special().stdtrit(freedom, (1 + confidence) / 2))
