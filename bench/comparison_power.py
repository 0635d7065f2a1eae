"""The smallest difference that `convload compare` finds in four of five pairs of runs, by simulation.

Made runs of BENCH_POWER_SECONDS (60) at BENCH_POWER_RATE (200) requests/s, one a side, of two steps: so ten statistics
share the 99 %. Times are log-normal; steady, or with a level that wanders by 3 % with a correlation of 0.5 from second
to second. Failures are independent, or come in bursts of ten on average. BENCH_POWER_PAIRS (50) are compared for each
size of a difference; between two sizes the share of those that were found is taken as straight.
"""

import math
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from bench.figures import Figure

from convload.comparison.batches import Batch
from convload.comparison.compare import CONFIDENCE, WITHIN
from convload.comparison.counts import compare_shares
from convload.comparison.outcomes import IMPROVED, REGRESSED, Minimum, Rule, judge
from convload.comparison.samples import TIMES, Sample
from convload.comparison.within import compare_batches
from convload.comparison.worth import Pair
from convload.results.histogram import Histogram

SECONDS = int(os.environ.get("BENCH_POWER_SECONDS", "60"))
RATE = int(os.environ.get("BENCH_POWER_RATE", "200"))
PAIRS = int(os.environ.get("BENCH_POWER_PAIRS", "50"))
STEPS = 2
FOUND = 0.8

FACTORS = (1.05, 1.06, 1.07, 1.085, 1.1, 1.13, 1.17, 1.22, 1.3, 1.4, 1.6)
MORE_ERRORS = (0.0005, 0.001, 0.0015, 0.002, 0.003, 0.004, 0.006, 0.008, 0.012, 0.016, 0.024, 0.04, 0.06)
"""Differences that are tried: factors of times and rates, more failures as a share of all."""

_BURST = 10.0
_NO_TIMES = Histogram.of(np.array([], np.int64))


def power(_folder: Path) -> list[Figure]:
    """The smallest differences of times, rate and errors."""
    return [*_times(), *_errors()]


def _times() -> Iterator[Figure]:
    for name, wanders in (("steady", 0.0), ("level wanders by 3 %", 0.03)):
        found: dict[float, dict[str, float]] = {}
        for factor in FACTORS:
            found[factor] = _share_found(wanders, factor)
            if min(found[factor].values()) >= FOUND:
                break
        for statistic in (*TIMES, "rate"):
            smallest = crossing([(factor - 1, shares[statistic]) for factor, shares in found.items()])
            yield _figure(f"{statistic}, {name}", smallest, "%")


def _share_found(wanders: float, factor: float) -> dict[str, float]:
    """Returns in what share of pairs each statistic was called different where all changed by a factor."""
    # The same noise for every factor, so that a larger difference is found at least as often.
    chance = np.random.default_rng(1)
    hits = dict.fromkeys((*TIMES, "rate"), 0)
    rule = Rule(1 - (1 - CONFIDENCE[WITHIN]) / STEPS)
    for _ in range(PAIRS):
        sides = [{"create": made_run(chance, wanders, times)} for times in (1.0, factor)]
        for one in compare_batches(sides[0], sides[1], rule):
            if one.statistic in hits:
                hits[one.statistic] += one.outcome in {REGRESSED, IMPROVED}
    return {name: count / PAIRS for name, count in hits.items()}


def made_run(chance: np.random.Generator, wanders: float, factor: float, memory: float = 0.5) -> list[Batch]:
    """Returns the seconds of a run whose times are so many times longer, and its rate as many times lower."""
    batches, level = [], chance.normal(0, wanders)
    for _ in range(SECONDS):
        count = int(chance.poisson(RATE / factor))
        times_us = 20_000 * factor * np.exp(level + 0.4 * chance.standard_normal(count))
        batches.append(Batch(Histogram.of(times_us.astype(np.int64)), count, 0, 1.0))
        level = memory * level + chance.normal(0, wanders * math.sqrt(1 - memory**2))
    return batches


def _errors() -> Iterator[Figure]:
    for name, fail in (("spread", _independent), ("in bursts of ten", _bursts)):
        for base in (0.0, 0.001, 0.01):
            found = [(more, _share_of_errors_found(fail, base, base + more)) for more in MORE_ERRORS]
            yield _figure(f"errors {name}, base {100 * base:g} %", crossing(found), "points")


def _share_of_errors_found(fail: Callable[[np.random.Generator, float], np.ndarray], base: float, new: float) -> float:
    chance, rule = np.random.default_rng(2), Rule(CONFIDENCE[WITHIN])
    each, hits = rule.each(STEPS * 5), 0
    for _ in range(PAIRS):
        sides = [sample_of(fail(chance, share)) for share in (base, new)]
        shift, _ = compare_shares(Pair(sides[0], sides[1]), each, rule.one_sided)
        hits += judge("errors", 100 * sides[0].error_share, shift, Minimum()) == REGRESSED
    return hits / PAIRS


def sample_of(failed: np.ndarray, rate: int = RATE) -> Sample:
    """Returns the seconds of a run in which so many requests failed; nothing is known of times."""
    return Sample([Batch(_NO_TIMES, rate - int(many), int(many), 1.0) for many in failed])


def _independent(chance: np.random.Generator, share: float) -> np.ndarray:
    return chance.binomial(RATE, share, SECONDS)


def _bursts(chance: np.random.Generator, share: float) -> np.ndarray:
    """Failures of a share on average, in bursts of a geometric length, each within a second."""
    begun = chance.poisson(RATE * share / _BURST, SECONDS)
    return np.array([min(RATE, int(chance.geometric(1 / _BURST, many).sum())) for many in begun])


def crossing(found: Sequence[tuple[float, float]]) -> float | None:
    """Returns the size from which on differences are found often enough; None where even the largest is not."""
    before = (0.0, 0.0)
    for size, share in found:
        if share >= FOUND:
            return before[0] + (size - before[0]) * (FOUND - before[1]) / (share - before[1])
        before = (size, share)
    return None


def _figure(name: str, smallest: float | None, unit: str) -> Figure:
    note = f"{SECONDS} s at {RATE}/s, in {100 * FOUND:g} % of pairs"
    return Figure(name, None if smallest is None else 100 * smallest, unit, note=note if smallest else f"{note}: none")
