"""Finds the highest rate at which a run is valid: doubles until one is not, then narrows between the two."""

import math
from collections.abc import Callable

import msgspec

from convload.capacity.trials import between, further

NEAR_ENOUGH = 1.1
"""The search ends when the lowest rate that failed is at most this much above the highest that held."""


class CeilingTrial(msgspec.Struct, frozen=True):
    """A short run at one rate: rates per second, shares of a core. `reasons` are why it is not valid.

    `mock_cpu_share` is the busiest second of the embedded mock; `others_cores` is how many cores other work took
    meanwhile; None where it could not be seen. `limits` names what it met: see `trials.limits_of`.
    """

    rate: float
    valid: bool
    achieved_per_s: float | None = None
    lateness_p50_ms: float | None = None
    lateness_p99_ms: float | None = None
    cpu_share: float | None = None
    mock_cpu_share: float | None = None
    others_cores: float | None = None
    reasons: list[str] = []
    limits: list[str] = []


class Ceiling(msgspec.Struct, frozen=True):
    """How a search ended: `best` is the highest rate that held, `beyond` the lowest above it that did not."""

    trials: list[CeilingTrial]
    best: CeilingTrial | None
    beyond: CeilingTrial | None

    @property
    def at_least(self) -> bool:
        """Whether no rate was too high for as long as the search went on: the ceiling is higher than `best`."""
        return self.best is not None and self.beyond is None


def search(measure: Callable[[float], CeilingTrial], start_rate: float, most_trials: int) -> Ceiling:
    """Tries at most so many rates, from `start_rate` on; where that one is too high, halves it until one holds."""
    found, rate = Ceiling([], None, None), float(start_rate)
    while len(found.trials) < most_trials and rate:
        found = _with(found, measure(rate))
        rate = _next(found, rate)
    return found


def _next(found: Ceiling, rate: float) -> float:
    best, beyond = found.best, found.beyond
    if not (best and beyond):
        return further(rate, 0.0, math.inf, down=best is None) or 0.0
    return between(best.rate, beyond.rate) if beyond.rate > NEAR_ENOUGH * best.rate else 0.0


def _with(found: Ceiling, trial: CeilingTrial) -> Ceiling:
    # Every rate lies between the two, so the newest trial always moves one of them.
    best, beyond = (trial, found.beyond) if trial.valid else (found.best, trial)
    return Ceiling([*found.trials, trial], best, beyond)
