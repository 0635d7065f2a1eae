"""Cuts a run into windows, and draws one conclusion from what a gate says of each.

A request belongs to the window in which its result came; results that came after the measured time are of requests
that were due in it, and belong to the last window if the windows reach to its end.
"""

import math

from convload.plan.gate import Windows
from convload.results.measured import Totals
from convload.results.run import Run
from convload.results.window import ROUNDING_S, Window


def split(run: Run, length_s: float, stage: str) -> list[Totals]:
    """Returns the whole windows of the measured time, or of a stage's, one after the other; a rest is left out."""
    return [
        _totals(run, Window(time.from_s + n * length_s, time.from_s + (n + 1) * length_s), time)
        for time in run.times(stage)
        for n in range(math.floor((time.length_s + ROUNDING_S) / length_s))
    ]


def _totals(run: Run, within: Window, whole: Window) -> Totals:
    is_last = within.to_s >= whole.to_s - ROUNDING_S and whole.to_s >= run.window.to_s - ROUNDING_S
    reach = Window(within.from_s, math.inf) if is_last else within
    parts = list(filter(reach.has, run.intervals))
    return Totals.within(parts, within, is_open=run.is_open, known=run.intervals)


def allowed_misses(windows: Windows, count: int) -> int:
    """Returns how many of `count` windows may break the limit."""
    return count - math.ceil(windows.percent / 100 * count - 1e-9)


def confidences(count: int, misses: int, confidence: float) -> tuple[float, float]:
    """Returns the confidence of each window's bound for passing and for failing, so that the whole has `confidence`.

    Let B of k windows be truly bad, a of them allowed, e the chance of a wrong call in one window. A gate passes
    wrongly when B > a and at least B - a bad windows look good; their expected number is at most B·e, so by Markov's
    inequality the chance is at most B·e / (B - a), at worst (a + 1)·e. With a = 0 it is e itself: that is the
    intersection-union test (Berger 1982). It fails wrongly when B <= a and at least a + 1 - B good windows look bad: at
    worst (k - a)·e, for a = 0 the rule of Bonferroni. Neither asks that the windows be independent of each other.
    """
    error = 1 - confidence
    return 1 - error / (misses + 1), 1 - error / max(1, count - misses)
