"""How often a simulated queue that never changes is called unsteady, and how often one whose services slow down is."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from bench.figures import Figure
from bench.queues import Case, Runs, exponential, lognormal, random_pauses, simulate

from convload.judging.settling import settled_after
from convload.plan.facts import ValidityLimits
from convload.results.drift import MEDIAN, matters, trend

RUNS = int(os.environ.get("STEADINESS_RUNS", "300"))
LENGTHS_S = (20, 30, 60, 120)
AT_MOST_PERCENT = 2.0
CASES = [
    *(Case("M/M/8", 8, busy, exponential) for busy in (0.8, 0.9, 0.95)),
    Case("M/M/1", 1, 0.95, exponential),
    Case("M/LN/8", 8, 0.9, lognormal),
    Case("M/M/8 with pauses at random", 8, 0.8, exponential, random_pauses(10, 0.2)),
]


def steadiness(_folder: Path) -> list[Figure]:
    """Returns the false alarms of each case and length."""
    return [figure for case in CASES for figure in _of_case(case)]


def _of_case(case: Case) -> Iterator[Figure]:
    medians = medians_of(simulate(case, RUNS, max(LENGTHS_S), seed=5), max(LENGTHS_S))
    for length_s in LENGTHS_S:
        parts = [row[at : at + length_s] for row in medians for at in range(0, max(LENGTHS_S), length_s)][: 2 * RUNS]
        alarms = sum(is_alarm(part) for part in parts)
        what = f"{case.name}, {100 * case.busy:g} % busy, {length_s} s: called unsteady"
        yield Figure(what, 100 * alarms / len(parts), "%", at_most=AT_MOST_PERCENT, note=f"of {len(parts)}")
        unsettled = sum(bool(settled_after(part)) for part in parts)
        what = f"{case.name}, {100 * case.busy:g} % busy, {length_s} s: said to settle first"
        yield Figure(what, 100 * unsettled / len(parts), "%", note=f"of {len(parts)}")


def is_alarm(medians_ms: list[float]) -> bool:
    """Says whether the rule `not_steady` finds a trend."""
    limits, found = ValidityLimits(), trend(medians_ms)
    return found.p < limits.trend_significance and matters(MEDIAN, found, found.last - found.first, limits)


def medians_of(runs: Runs, length_s: int) -> list[list[float]]:
    """Returns the median of each second of each run, in ms."""
    seconds = np.arange(length_s + 1)
    return [
        [float(np.median(part)) for part in np.split(response, np.searchsorted(due, seconds))[1:-1]]
        for due, response in zip(runs.due_s, runs.response_ms, strict=True)
    ]
