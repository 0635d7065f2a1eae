"""How often a gate is wrong at a target whose truth is known: simulated queues, judged by the product's own bounds.

A limit that is exactly the true percentile must neither pass nor fail: each of both may happen in as many runs as the
confidence allows. A limit that is 25 % off must be decided, as often as possible.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
from bench.figures import Figure
from bench.queues import (
    Case,
    Flags,
    Floats,
    Runs,
    bursts,
    constant,
    correlated,
    exponential,
    lognormal,
    periodic_pauses,
    random_pauses,
    simulate,
)

from convload.judging.dependence import LEVELS, Dependence, of_share, of_times
from convload.judging.estimates import Confidences, percentile_bounds_us, share_bounds
from convload.results.batches import Sliced, batch_count
from convload.results.histogram import Histogram

CONFIDENCE = 0.99
LENGTHS_S = (20, 60, 300)
PERCENTS = (50.0, 95.0, 99.0)
RUNS = int(os.environ.get("COVERAGE_RUNS", "400"))
WRONG_PERCENT, WRONG_OF_SLOWEST_PERCENT = 2.0, 5.0
POWER_PERCENT = 90.0
OFF = 1.25

KINDS = {"M/M/1": (1, exponential), "M/M/8": (8, exponential), "M/D/8": (8, constant), "M/LN/8": (8, lognormal)}
CASES = [
    *(Case(kind, servers, busy, draw) for kind, (servers, draw) in KINDS.items() for busy in (0.5, 0.8, 0.9, 0.95)),
    Case("M/M/8 with pauses at random", 8, 0.8, exponential, random_pauses(10, 0.2)),
    Case("M/M/8 with pauses each 10 s", 8, 0.8, exponential, periodic_pauses(10, 0.2)),
    *(Case(f"services AR(1) {phi:g}", 8, 0.7, correlated(phi)) for phi in (0.5, 0.8, 0.95)),
]


class Tally(msgspec.Struct):
    """How often what was decided, of so many runs."""

    runs: int = 0
    passed_wrongly: int = 0
    failed_wrongly: int = 0
    passed_off: int = 0
    effects: list[float] = []

    def percent(self, count: int) -> float:
        """Returns a count as a share of the runs."""
        return 100 * count / max(1, self.runs)


def coverage(_folder: Path) -> list[Figure]:
    """Returns the wrong decisions of each case and length, the worst percentile of it, and the power at 80 %."""
    found = [figure for case in CASES for figure in _of_case(case)]
    return [*found, *_of_bursts()]


def _of_case(case: Case) -> Iterator[Figure]:
    runs = simulate(case, RUNS, max(LENGTHS_S), seed=1)
    truths = _truths(runs)
    for length_s in LENGTHS_S:
        tallies = {percent: Tally() for percent in PERCENTS}
        for row in range(RUNS):
            for percent in PERCENTS:
                judge(runs, row, length_s, percent, truths[percent], tallies[percent])
        yield from _figures(case, length_s, tallies)


def _figures(case: Case, length_s: int, tallies: dict[float, Tally]) -> Iterator[Figure]:
    what = f"{case.name}, {100 * case.busy:g} % busy, {length_s} s"
    wrong = {p: max(one.percent(one.passed_wrongly), one.percent(one.failed_wrongly)) for p, one in tallies.items()}
    worst = max(wrong, key=lambda percent: wrong[percent])
    effect = float(np.median(tallies[99.0].effects))
    slow = "0.95" in case.name and "AR" in case.name
    target = None if length_s < 60 else WRONG_OF_SLOWEST_PERCENT if slow else WRONG_PERCENT  # noqa: PLR2004 -- a minute
    note = f"worst of p50, p95, p99: p{worst:g}; design effect of the p99 {effect:,.0f}"
    yield Figure(f"{what}: wrong decisions, at most", wrong[worst], "%", at_most=target, note=note)
    power = [tallies[percent].percent(tallies[percent].passed_off) for percent in PERCENTS]
    said = ", ".join(f"p{percent:g} {one:.0f} %" for percent, one in zip(PERCENTS, power, strict=True))
    aimed = POWER_PERCENT if case.busy == 0.8 and length_s == 300 and not case.pauses else None  # noqa: PLR2004 -- as above
    yield Figure(f"{what}: a p99 limit 25 % above the truth passes", power[-1], "%", at_least=aimed, note=said)


def _truths(runs: Runs) -> dict[float, float]:
    measured = runs.response_ms[(runs.due_s >= 0) & (runs.due_s < max(LENGTHS_S))]
    values = np.percentile(measured, PERCENTS, method="inverted_cdf")
    return dict(zip(PERCENTS, values.tolist(), strict=True))


def judge(runs: Runs, row: int, length_s: int, percent: float, truth_ms: float, tally: Tally) -> None:
    """Asks of one run whether a limit at the truth passes or fails, which is wrong, and whether one 25 % off passes."""
    sliced, whole = cut_in_batches(runs.due_s[row], runs.response_ms[row], length_s)
    levels = whole.percentiles([percent, *LEVELS])
    tally.runs += 1
    for limit_us in (1000 * truth_ms, OFF * 1000 * truth_ms):
        dependence = of_times(sliced, [*levels, limit_us], length_s)
        low, high = percentile_bounds_us(whole, percent, Confidences(CONFIDENCE, CONFIDENCE), dependence)
        passes = high is not None and high < limit_us
        if limit_us == 1000 * truth_ms:
            tally.passed_wrongly += passes
            tally.failed_wrongly += low is not None and low > limit_us
            tally.effects.append(dependence.effect)
        else:
            tally.passed_off += passes


def cut_in_batches(due_s: Floats, response_ms: Floats, length_s: int) -> tuple[Sliced, Histogram]:
    inside = (due_s >= 0) & (due_s < length_s)
    count = batch_count(length_s)
    seconds = np.floor(due_s[inside])
    batch = np.minimum(count - 1, (seconds + 0.5) / length_s * count).astype(int)
    times_us = np.round(1000 * response_ms[inside]).astype(np.int64)
    parts = [Histogram.of(times_us[batch == n]) for n in range(count)]
    return Sliced([parts]), Histogram.merged(parts)


def _of_bursts() -> Iterator[Figure]:
    """Errors for a second each half a minute: the limit is the true share."""
    runs = bursts(RUNS, max(LENGTHS_S), seed=2)
    assert runs.failed is not None
    truth = 0.3 / 30
    for length_s in LENGTHS_S[1:]:
        tally = Tally()
        for row in range(RUNS):
            _judge_share(runs.due_s[row], runs.failed[row], length_s, truth, tally)
        wrong = max(tally.percent(tally.passed_wrongly), tally.percent(tally.failed_wrongly))
        yield Figure(f"errors in bursts, {length_s} s: wrong decisions, at most", wrong, "%", at_most=WRONG_PERCENT)


def _judge_share(due_s: Floats, failed: Flags, length_s: int, truth: float, tally: Tally) -> None:
    inside = due_s < length_s
    count = batch_count(length_s)
    batch = np.minimum(count - 1, (np.floor(due_s[inside]) + 0.5) / length_s * count).astype(int)
    counts = np.bincount(batch, minlength=count)[None, :].astype(np.float64)
    hits = np.bincount(batch, failed[inside], count)[None, :].astype(np.float64)
    dependence: Dependence = of_share(counts, hits, length_s)
    worth = dependence.worth(counts.sum(), CONFIDENCE)
    low, high = share_bounds(hits.sum() / counts.sum() * worth, worth, CONFIDENCE)
    tally.runs += 1
    tally.passed_wrongly += high < truth
    tally.failed_wrongly += low > truth
