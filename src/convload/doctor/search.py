"""Finds the highest rate at which a run is valid: doubles until one is not, then narrows between the two."""

import math
from collections.abc import Callable

import msgspec

NEAR_ENOUGH = 1.1
"""The search ends when the lowest rate that failed is at most this much above the highest that held."""


class Trial(msgspec.Struct, frozen=True):
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


class Found(msgspec.Struct, frozen=True):
    """How a search ended: `best` is the highest rate that held, `beyond` the lowest above it that did not."""

    trials: list[Trial]
    best: Trial | None
    beyond: Trial | None

    @property
    def at_least(self) -> bool:
        """Whether no rate was too high for as long as the search went on: the ceiling is higher than `best`."""
        return self.best is not None and self.beyond is None


def search(measure: Callable[[float], Trial], start_rate: float, most_trials: int) -> Found:
    """Tries at most so many rates, from `start_rate` on; where that one is too high, halves it until one holds."""
    found = Found([], None, None)
    while len(found.trials) < most_trials and (rate := _next(found, start_rate)) is not None:
        found = _with(found, measure(rate))
    return found


def _next(found: Found, start_rate: float) -> float | None:
    best, beyond = found.best, found.beyond
    if beyond is None:
        return 2 * best.rate if best else start_rate
    if best is None:
        return beyond.rate / 2
    if beyond.rate <= NEAR_ENOUGH * best.rate:
        return None
    return math.sqrt(best.rate * beyond.rate)


def _with(found: Found, trial: Trial) -> Found:
    # Every rate lies between the two, so the newest trial always moves one of them.
    best, beyond = (trial, found.beyond) if trial.valid else (found.best, trial)
    return Found([*found.trials, trial], best, beyond)
