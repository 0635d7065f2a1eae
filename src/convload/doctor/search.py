"""Finds the highest rate at which a run is valid: doubles until one is not, then narrows; says what limited it."""

import math
from collections.abc import Callable
from datetime import datetime

import msgspec

from convload import machine
from convload.capacity.trials import between, further
from convload.doctor.trials import ALL_CORES, MOCK_CPU, OTHER_WORK, CeilingTrial, measure
from convload.report.figures import about, core_share
from convload.results.runlog import KnownCeiling

START_RATE, MOST_TRIALS = 2_000.0, 8
QUICK_START_RATE, QUICK_MOST_TRIALS = 4_000.0, 3
"""Rates a worker. Three doublings from 2,000 reach what a core of these years gives, and leave some to narrow."""

NEAR_ENOUGH = 1.1
"""The search ends when the lowest rate that failed is at most this much above the highest that held."""


class Ceiling(msgspec.Struct, frozen=True):
    """How a search ended: `best` is the highest rate that held, `beyond` the lowest above it that did not."""

    trials: list[CeilingTrial]
    best: CeilingTrial | None
    beyond: CeilingTrial | None

    @property
    def at_least(self) -> bool:
        """Whether no rate was too high for as long as the search went on: the ceiling is higher than `best`."""
        return self.best is not None and self.beyond is None


def find_ceiling(workers: int, seconds: float, *, quick: bool, most_trials: int | None = None) -> Ceiling:
    """Searches the ceiling of so many workers of this machine; `most_trials` is as usual where it is None.

    Raises:
        ConvloadError: a run could not be set up.
        KeyboardInterrupt: a person ended it.
    """
    start_rate, most = (QUICK_START_RATE, QUICK_MOST_TRIALS) if quick else (START_RATE, MOST_TRIALS)
    return search(lambda rate: measure(rate, workers, seconds), workers * start_rate, most_trials or most)


def search(measure: Callable[[float], CeilingTrial], start_rate: float, most_trials: int) -> Ceiling:
    """Tries at most so many rates, from `start_rate` on; where that one is too high, halves it until one holds."""
    found, rate = Ceiling([], None, None), float(start_rate)
    while len(found.trials) < most_trials and rate:
        trial = measure(rate)
        # Every rate lies between the two, so the newest trial always moves one of them.
        best, beyond = (trial, found.beyond) if trial.valid else (found.best, trial)
        found = Ceiling([*found.trials, trial], best, beyond)
        rate = _next(found, rate)
    return found


def _next(found: Ceiling, rate: float) -> float:
    best, beyond = found.best, found.beyond
    if not (best and beyond):
        return further(rate, 0.0, math.inf, down=best is None) or 0.0
    return between(best.rate, beyond.rate) if beyond.rate > NEAR_ENOUGH * best.rate else 0.0


def known_ceiling(found: Ceiling, workers: int, now: datetime) -> KnownCeiling | None:
    """Returns what is to be saved; None where no rate held."""
    if found.best is None:
        return None
    stamp = now.isoformat(timespec="seconds")
    return KnownCeiling(found.best.rate, workers, machine.usable_cores(), stamp, at_least=is_at_least(found))


def is_at_least(found: Ceiling) -> bool:
    """Says whether the ceiling may be higher: no rate was too high, or one failed while others took the machine."""
    return found.at_least or (found.beyond is not None and OTHER_WORK in found.beyond.limits)


def describe(found: Ceiling, workers: int) -> list[str]:
    """Returns the sentences that a person reads."""
    on = f"{workers} worker{'s' * (workers != 1)}"
    if found.best is None:
        lowest = found.trials[-1]
        text = f"Ceiling: not found. Even at {lowest.rate:,.0f} requests/s on {on} a run was not valid."
        return [text, *_why(lowest)]
    least = "at least " if is_at_least(found) else ""
    said = [f"Ceiling: {least}{found.best.rate:,.0f} requests/s on {on}, with {_figures(found.best)}."]
    if found.beyond is None:
        text = "Every rate tried held, so the ceiling is higher: try more of them, without --quick or with --trials."
        return [*said, text]
    return [*said, *_why(found.beyond)]


def _figures(trial: CeilingTrial) -> str:
    lateness = f"lateness p50 {about(trial.lateness_p50_ms)} and p99 {about(trial.lateness_p99_ms)} ms"
    return f"{lateness}, the busiest worker at {core_share(trial.cpu_share)}"


def _why(beyond: CeilingTrial) -> list[str]:
    met = ", ".join(beyond.limits) or "no single limit"
    said = [f"Limited at {beyond.rate:,.0f}/s by: {met}.", *(f"  {reason}" for reason in beyond.reasons)]
    if {MOCK_CPU, ALL_CORES} & set(beyond.limits):
        said.append(
            "The mock shares this machine and was busy itself: against a target elsewhere the ceiling is at least this."
        )
    if OTHER_WORK in beyond.limits:
        said.append(
            f"Others took {about(beyond.others_cores)} cores meanwhile: on a quiet machine the ceiling may be higher."
        )
    return said
