"""Tests whether a series goes up or down where it should be level: the warm-up was too short, or something drifts."""

import math
from statistics import NormalDist

import msgspec
import numpy as np

from convload.plan.schedule import StageMark
from convload.results.run import Run
from convload.results.series import Second
from convload.results.window import EDGE_S, Window

POINTS = 60
"""Longer series are cut into so many batches: neighbouring seconds resemble each other, which looks like a trend."""


class Trend(msgspec.Struct, frozen=True):
    """`p` is the chance of as clear a direction without a trend; `first` and `last` are medians of the outer thirds."""

    p: float
    first: float
    last: float

    @property
    def change(self) -> float:
        """From the first third to the last, relative to the first."""
        return self.last / self.first - 1 if self.first else math.inf


def trend(values: list[float]) -> Trend:
    """Returns the Mann-Kendall test, two-sided, with its correction for ties; asks for no distribution.

    Mann, "Nonparametric tests against trend", Econometrica 13 (1945); Kendall, "Rank correlation methods" (1975);
    the variance with ties as in Gilbert, "Statistical methods for environmental pollution monitoring" (1987), §16.4.
    """
    points = np.array([np.median(batch) for batch in np.array_split(values, min(POINTS, len(values)))])
    n = len(points)
    s = float(np.triu(np.sign(points[None, :] - points[:, None])).sum())
    _, ties = np.unique(points, return_counts=True)
    variance = (n * (n - 1) * (2 * n + 5) - float((ties * (ties - 1) * (2 * ties + 5)).sum())) / 18
    z = max(abs(s) - 1, 0.0) / math.sqrt(variance) if variance > 0 else 0.0
    third = max(1, n // 3)
    return Trend(2 * (1 - NormalDist().cdf(z)), float(np.median(points[:third])), float(np.median(points[-third:])))


def joined_stages(run: Run) -> list[StageMark]:
    """Returns the stages; one that was added at the rate that the load had is a part of the stage before it."""
    joined = list(run.manifest.stages)
    for mark in run.marks[len(joined) :]:
        before = joined[-1] if joined else mark
        goes_on = abs(before.starts_s + before.duration_s - mark.starts_s) < EDGE_S
        if goes_on and before.from_rate == before.to_rate == mark.from_rate == mark.to_rate and not before.warmup:
            joined[-1] = msgspec.structs.replace(before, duration_s=before.duration_s + mark.duration_s)
        else:
            joined.append(mark)
    return joined


def stretches(run: Run) -> dict[str, Window]:
    """Returns each stretch of constant load by name; what was never reached of it is left out."""
    within = run.window
    if not run.is_open:
        return {"the measured time": within}
    return {
        f"stage {mark.name}": Window(mark.starts_s, min(mark.starts_s + mark.duration_s, within.to_s))
        for mark in joined_stages(run)
        if not mark.warmup and mark.from_rate == mark.to_rate and mark.starts_s < within.to_s
    }


def whole_seconds(series: list[Second], within: Window) -> list[Second]:
    """Returns the seconds that lie in a stretch as a whole."""
    return [row for row in series if row.t_s >= within.from_s - EDGE_S and row.t_s + 1 <= within.to_s + EDGE_S]
