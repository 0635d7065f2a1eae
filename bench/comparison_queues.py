"""How often a comparison is wrong at targets whose truth is known, and what it finds: the queues of the coverage bench.

Pairs of runs of one queue must not be called different, whatever statistic it is by; of pairs in which one side takes a
tenth longer as many as possible should be. Then runs as long as the planner asks for, and two targets in turns of one
run, with arrivals of their own or in common.

COMPARISON_PAIRS (400) pairs of 60 s are compared in each case, a quarter as many of 300 s; COMPARISON_LONG_PAIRS (40)
of planned runs and of runs in turns.
"""

import math
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from bench.coverage import CASES
from bench.figures import Figure
from bench.queues import RATE, Case, Floats, Random, bursts, departures, exponential, simulate

from convload.comparison.batches import Batch
from convload.comparison.compare import CONFIDENCE, WITHIN
from convload.comparison.outcomes import IMPROVED, REGRESSED, STATISTICS, Difference, Rule
from convload.comparison.power import seconds_needed
from convload.comparison.samples import MOST_PARTS, TIMES, Sample
from convload.comparison.within import compare_batches, compare_paired
from convload.results.histogram import Histogram

PAIRS = int(os.environ.get("COMPARISON_PAIRS", "400"))
LONG_PAIRS = int(os.environ.get("COMPARISON_LONG_PAIRS", "40"))
LENGTHS_S = {60: PAIRS, 300: PAIRS // 4}
"""How long runs are, and how many pairs of them are compared."""

SLOWER = 1.1
PLANNED = (Case("M/M/8", 8, 0.5, exponential), Case("M/M/8", 8, 0.8, exponential), Case("M/M/8", 8, 0.9, exponential))
PILOT_S, LONGEST_S, MOST_SIMULATED_S = 60, 10_000, 100_000
IN_TURNS = Case("M/M/8", 8, 0.9, exponential)
WINDOW_S, WINDOWS = 5.0, 60
ALARMS_PERCENT, FOUND_PERCENT, PLANNED_PERCENT = 2.0, 100.0, 90.0
RULE = Rule(CONFIDENCE[WITHIN])

_NO_TIMES = Histogram.of(np.array([], np.int64))


def queues(_folder: Path) -> list[Figure]:
    """False alarms of equal pairs, and what is found of a tenth at half the load."""
    return [figure for length_s, pairs in LENGTHS_S.items() for figure in _of_length(length_s, pairs)]


def _of_length(length_s: int, pairs: int) -> Iterator[Figure]:
    yield _of_bursts(length_s, pairs)
    for case in CASES:
        yield from _of_case(case, length_s, pairs)


def _of_case(case: Case, length_s: int, count: int) -> Iterator[Figure]:
    runs = simulate(case, 2 * count, length_s, seed=7)
    rows = [batches(*one, length_s) for one in zip(runs.due_s, runs.response_ms, strict=True)]
    what = f"{case.name}, {100 * case.busy:g} % busy, {length_s} s"
    pairs = zip(rows[:count], rows[count:], strict=True)
    yield _alarms(what, [compared(*pair) for pair in pairs])
    if length_s == min(LENGTHS_S) and case.busy == 0.5:  # noqa: PLR2004 -- half
        one, other = slice(count), slice(count, None)
        longer = zip(runs.due_s[other], SLOWER * runs.response_ms[other], strict=True)
        found = [compared(base, batches(*new, length_s)) for base, new in zip(rows[one], longer, strict=True)]
        yield _found(f"{what}: 10 % more is found", found, FOUND_PERCENT if case.servers > 1 else None)


def _of_bursts(length_s: int, count: int) -> Figure:
    """Errors for a second each half a minute, on both sides alike."""
    runs = bursts(2 * count, length_s, seed=8)
    assert runs.failed is not None
    rows = [failures(*one, length_s) for one in zip(runs.due_s, runs.failed, strict=True)]
    found = [compared(*pair) for pair in zip(rows[:count], rows[count:], strict=True)]
    return _alarms(f"errors for a second each half a minute, {length_s} s", found)


def compared(base: list[Batch], new: list[Batch]) -> list[Difference]:
    """Returns what is said of two runs with one step."""
    return compare_batches({"create": base}, {"create": new}, RULE)


def batches(due_s: Floats, response_ms: Floats, length_s: float) -> list[Batch]:
    """Returns as many batches of a simulated run as a comparison has parts."""
    each_s = length_s / MOST_PARTS
    part = np.floor(due_s / each_s)
    times_us = np.round(1000 * response_ms).astype(np.int64)
    parts = [times_us[part == n] for n in range(MOST_PARTS)]
    return [Batch(Histogram.of(one), len(one), 0, each_s) for one in parts]


def failures(due_s: Floats, failed: Floats, length_s: float) -> list[Batch]:
    """Returns the seconds of a run of which only is known what failed."""
    second = np.floor(due_s[due_s < length_s]).astype(int)
    counts = np.bincount(second, minlength=int(length_s))
    hits = np.bincount(second, failed[due_s < length_s], int(length_s))
    return [Batch(_NO_TIMES, int(n - x), int(x), 1.0) for n, x in zip(counts, hits, strict=True)]


def _alarms(what: str, found: list[list[Difference]]) -> Figure:
    changed = [[one.statistic for one in each if one.outcome in {REGRESSED, IMPROVED}] for each in found]
    by_name = Counter(name for each in changed for name in each)
    note = f"of {len(found)}: " + (
        ", ".join(f"{name} {by_name[name]}" for name in STATISTICS if by_name[name]) or "none"
    )
    share = 100 * sum(map(bool, changed)) / len(found)
    return Figure(f"{what}: equal pairs called different", share, "%", at_most=ALARMS_PERCENT, note=note)


def _found(what: str, found: list[list[Difference]], at_least: float | None, statistic: str = "") -> Figure:
    """Tells in how many pairs a time has regressed: that one, or any."""
    times = [{one.statistic for one in each if one.outcome == REGRESSED} & TIMES.keys() for each in found]
    by_name = Counter(name for each in times for name in each)
    note = f"of {len(found)}: " + ", ".join(f"{name} {100 * by_name[name] / len(found):.0f} %" for name in TIMES)
    share = 100 * sum(statistic in each if statistic else bool(each) for each in times) / len(found)
    return Figure(what, share, "%", at_least=at_least, note=note)


def planner(_folder: Path) -> list[Figure]:
    """Whether runs that are as long as a run of a minute says find a p99 that is a tenth longer."""
    return [figure for case in PLANNED for figure in _planned(case)]


def _planned(case: Case) -> Iterator[Figure]:
    runs = simulate(case, LONG_PAIRS, PILOT_S, seed=9)
    pilots = zip(runs.due_s, runs.response_ms, strict=True)
    asked = sorted(seconds_needed(Sample(batches(*one, PILOT_S)), "p99", RULE) for one in pilots)
    what, shortest, usual = f"M/M/8, {100 * case.busy:g} % busy", asked[len(asked) // 10], asked[len(asked) // 2]
    yield Figure(
        f"{what}: a run of {PILOT_S} s asks for at least", usual, "s", note=f"one in ten {shortest:,.0f} or less"
    )
    if (length_s := math.ceil(usual)) > LONGEST_S:
        yield Figure(f"{what}: 10 % more in the p99 is found", None, "%", note=f"not simulated beyond {LONGEST_S:,} s")
        return
    found = _long_pairs(case, length_s)
    yield _found(f"{what}: 10 % more in the p99 is found in {length_s:,} s", found, PLANNED_PERCENT, "p99")


def _long_pairs(case: Case, length_s: int) -> list[list[Difference]]:
    """Compares as many pairs as memory has room for; the new side takes a tenth longer."""
    count = min(LONG_PAIRS, MOST_SIMULATED_S // length_s)
    runs = simulate(case, 2 * count, length_s, seed=100)
    slower = np.repeat([1.0, SLOWER], count)
    rows = [
        batches(due_s, by * ms, length_s) for due_s, ms, by in zip(runs.due_s, runs.response_ms, slower, strict=True)
    ]
    return [compared(*pair) for pair in zip(rows[:count], rows[count:], strict=True)]


class Common(NamedTuple):
    """What two targets in turns have in common: the arrivals in both windows of a pair, and what each of them takes."""

    name: str
    arrivals: bool
    services: bool


def turns(_folder: Path) -> list[Figure]:
    """What two runs find, and one run of as many requests in turns."""
    length_s = int(WINDOW_S * WINDOWS)
    what = f"M/M/8, {100 * IN_TURNS.busy:g} % busy, {length_s} s a side, 10 % more is found"
    figures = [_found(f"{what}, two runs", _long_pairs(IN_TURNS, length_s), None)]
    for common in (
        Common("in turns, arrivals of their own", arrivals=False, services=False),
        Common("in turns, the same arrivals", arrivals=True, services=False),
        Common("in turns, the same arrivals and services", arrivals=True, services=True),
    ):
        figures.append(_found(f"{what}, {common.name}", _compared_in_turns(common, SLOWER), None))
        equal = _compared_in_turns(common, 1.0)
        figures.append(_alarms(f"M/M/8, {100 * IN_TURNS.busy:g} % busy, {common.name}", equal))
    return figures


def _compared_in_turns(common: Common, slower: float) -> list[list[Difference]]:
    names, found = [name for name in STATISTICS if name != "rate"], []
    random = np.random.default_rng(11)
    first = _draw(random)
    second = _draw(random)
    if common.arrivals:
        second = first[0], second[1]
    if common.services:
        second = first
    side_a, side_b = (_windows(*side, target) for target, side in enumerate((first, second)))
    for of_a, of_b in zip(side_a, side_b, strict=True):
        windows_b = [
            Batch(Histogram.of(np.round(slower * one).astype(np.int64)), len(one), 0, WINDOW_S) for one in of_b
        ]
        windows_a = [Batch(Histogram.of(np.round(one).astype(np.int64)), len(one), 0, WINDOW_S) for one in of_a]
        found.append(compare_paired(windows_a, windows_b, RULE, "create", names=names))
    return found


def _draw(random: Random) -> tuple[Floats, Floats]:
    """Returns when arrivals of a target come by the clock of its own windows, and how long each takes to serve."""
    count = math.ceil(WINDOW_S * WINDOWS * RATE * 1.05) + 100
    shape = LONG_PAIRS, count
    arrivals = np.cumsum(random.exponential(1 / RATE, shape), axis=1)
    return arrivals, IN_TURNS.services(random, shape) * (IN_TURNS.busy * IN_TURNS.servers / RATE)


def _windows(arrivals: Floats, services: Floats, target: int) -> list[list[Floats]]:
    """Returns the times in µs of each window of a target that rests while the other has its turn: A B B A."""
    pair = np.floor(arrivals / WINDOW_S)
    is_second = (pair % 2) != target
    due_s = arrivals + WINDOW_S * (pair + is_second)
    times_us = 1e6 * (departures(due_s, services, IN_TURNS.servers) - due_s)
    return [[row[of == n] for n in range(WINDOWS)] for row, of in zip(times_us, pair, strict=True)]
