"""What a time of a baseline would have been on this kind of machine, by calibration runs on both.

A time at the embedded mock is T = S + W: what the mock waits on purpose, which no machine changes, and the work of
mock, generator and system. If all work takes r times as long here, T lies between T and r T request by request, and so
does each of its percentiles; where the mock waits for nothing, S is 0 and it is r T. r is not known: it is told from
the same percentile of two calibration runs, or, where work is but a part of T and any of it may stand behind a
percentile, from several, of which the farthest count.

The bounds of base · new / old join those of all three by MOVER on their logarithms (Zou and Donner 2008), as those of
comparisons do: what happened to the baseline and to the calibration run beside it alike falls out, so that taking them
for independent is the cautious side.
"""

import math

import msgspec

from convload.judging.dependence import Dependence, dependence_of_baseline
from convload.judging.estimates import Confidences, Estimate, estimate
from convload.plan.gate import Subject, write_subject
from convload.plan.gate_names import TIME
from convload.results.histogram import short
from convload.results.measured import Totals

PERCENTS = (50.0, 90.0, 99.0)


class Machines(msgspec.Struct, frozen=True):
    """What calibration runs measured on the machine of the baseline and on this one; `all_work`: S is 0."""

    base: Totals
    new: Totals
    all_work: bool


class BaselineTotals(Totals, frozen=True):
    """The figures of a baseline, and what is known of machines, where that was another kind of machine."""

    machines: Machines | None = None


class AsHere(msgspec.Struct, frozen=True):
    """A figure of the baseline as it would be here, and how many times as long all work takes; None: the same."""

    figure: Estimate
    ratio: Estimate | None


class NoRatioError(Exception):
    """Nothing can be said of it; the text says why."""


def as_here(
    known: Estimate, machines: Machines, subject: Subject, confidences: Confidences, of_new: Dependence
) -> AsHere:
    """Returns what is `known` of a baseline as it would be on this kind of machine.

    Raises:
        NoRatioError: calibration runs say nothing of it.
    """
    if subject.measure != "time" or subject.percent is None:
        raise NoRatioError(f"calibration runs say nothing of {write_subject(subject)}")
    own = subject.percent
    percents = {own} if machines.all_work else {own, *PERCENTS}
    pairs = {percent: _pair(percent, machines, subject, confidences, of_new) for percent in percents}
    ratios = [_joined([new], base) for base, new in pairs.values()]
    figures = [_joined([known, new], base) for base, new in pairs.values()]
    figure = _joined([known, pairs[own][1]], pairs[own][0]) if machines.all_work else known
    values = [one.value for one in ratios]
    return AsHere(
        Estimate(figure.value, *_reach(figures if machines.all_work else [*figures, known])),
        Estimate(values[0] if machines.all_work else None, *_reach(ratios)),
    )


def _pair(
    percent: float, machines: Machines, subject: Subject, confidences: Confidences, of_new: Dependence
) -> tuple[Estimate, Estimate]:
    """Returns a percentile of both calibration runs."""
    asked = msgspec.structs.replace(subject, statistic=f"p{percent:g}", variant="", stage="")
    base, new = (
        estimate(asked, TIME, totals, confidences, dependence_of_baseline(totals, asked, of_new))
        for totals in (machines.base, machines.new)
    )
    if not all((base.value, base.low, base.high, new.value, new.low, new.high)):
        raise NoRatioError(f"the calibration runs have too few samples for bounds of {write_subject(asked)}")
    return base, new


def _joined(factors: list[Estimate], by: Estimate) -> Estimate:
    """Returns the product of figures over another one; a bound is None where one of theirs is."""
    value = math.prod(one.value or 0.0 for one in factors) / (by.value or 1.0)
    lows = [_reached(one.value, one.low) for one in factors] + [_reached(by.value, by.high)]
    highs = [_reached(one.value, one.high) for one in factors] + [_reached(by.value, by.low)]
    down, up = (None if None in side else math.hypot(*map(float, filter(None, side))) for side in (lows, highs))
    return Estimate(
        value, None if down is None else value * math.exp(-down), None if up is None else value * math.exp(up)
    )


def _reached(value: float | None, bound: float | None) -> float | None:
    """Returns how far a bound lies from a value, as a factor on its logarithm."""
    return abs(math.log(bound / value)) if value and bound else None


def _reach(figures: list[Estimate]) -> tuple[float | None, float | None]:
    lows, highs = [one.low for one in figures], [one.high for one in figures]
    low = None if None in lows else min(one for one in lows if one is not None)
    return low, None if None in highs else max(one for one in highs if one is not None)


def describe(ratio: Estimate) -> str:
    """Says a ratio in words that fit behind what the baseline has."""
    low, high = (short(one or 0.0, 3) for one in (ratio.low, ratio.high))
    return f"by calibration runs all work takes {low} to {high} times as long here"
