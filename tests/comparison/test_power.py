import math
from collections.abc import Callable

import numpy as np
import pytest
from bench.comparison_power import crossing
from bench.comparison_queues import batches as queue_batches
from bench.queues import Case, exponential, simulate
from tests.comparison.conftest import batches

from convload.comparison.outcomes import REGRESSED, SAME, Rule
from convload.comparison.power import more_for_time, seconds_needed, tail_samples
from convload.comparison.samples import Sample
from convload.comparison.within import compare_batches

RULE = Rule(0.99)


def test_a_percentile_needs_a_sample_whose_largest_lies_above_it() -> None:
    needed = tail_samples(99.0, 0.99)

    assert 0.99**needed <= 0.005 < 0.99 ** (needed - 1)


def test_longer_runs_are_asked_for_to_find_less() -> None:
    sample = Sample(batches(1, seconds=50))
    tenth, more = (seconds_needed(sample, "p99", RULE, relative=relative) for relative in (0.1, 0.2))

    assert 10 <= more < tenth < math.inf
    assert seconds_needed(sample, "p99", RULE, relative=0.05) == math.inf


def test_a_smaller_minimum_and_a_larger_error_ask_for_more_samples() -> None:
    def reach(error: float) -> Callable[[float, float], tuple[float, float]]:
        return lambda _confidence, times: (3 * error / math.sqrt(times),) * 2

    asked = [
        more_for_time(reach(error), 10_000, RULE, 0.999, least)
        for error, least in ((0.02, 0.1), (0.02, 0.05), (0.04, 0.05))
    ]

    assert None not in asked
    assert asked == sorted(asked, key=lambda one: one or 0)
    assert more_for_time(reach(1.0), 100, RULE, 0.999, 0.001) is None


def test_as_many_samples_as_are_advised_tell_in_most_pairs() -> None:
    """At the same rate for longer: what is advised is about the length of a run."""
    few = compare_batches({"create": batches(1, rate=60)}, {"create": batches(2, rate=60)}, RULE)
    more = max(one.more_samples or 0 for one in few if one.statistic in {"p50", "p95"})
    seconds = 40 + math.ceil(more / 60)

    told = [
        one.outcome == SAME
        for seed in range(10, 18, 2)
        for one in compare_batches(
            {"create": batches(seed, rate=60, seconds=seconds)},
            {"create": batches(seed + 1, rate=60, seconds=seconds)},
            RULE,
        )
        if one.statistic in {"p50", "p95"}
    ]

    assert sum(told) >= 6


def test_runs_as_long_as_a_short_one_asks_for_find_what_they_are_planned_for() -> None:
    """A queue, half busy: its requests wait for each other, which a run of a minute knows only roughly."""
    queue = Case("M/M/8", 8, 0.5, exponential)
    pilots = simulate(queue, 9, 60, seed=3)
    asked = [
        seconds_needed(Sample(queue_batches(*one, 60)), "p99", RULE)
        for one in zip(pilots.due_s, pilots.response_ms, strict=True)
    ]
    length_s = int(np.median(asked))

    runs = simulate(queue, 12, length_s, seed=4)
    sides = [
        queue_batches(due_s, (1.1 if n < 6 else 1.0) * ms, length_s)
        for n, (due_s, ms) in enumerate(zip(runs.due_s, runs.response_ms, strict=True))
    ]
    found = [
        compare_batches({"create": base}, {"create": new}, RULE) for base, new in zip(sides[6:], sides, strict=False)
    ]

    assert 60 < length_s < 600
    assert sum(one.outcome == REGRESSED for each in found for one in each if one.statistic == "p99") >= 5


def test_the_bench_interpolates_the_smallest_difference_that_is_found() -> None:
    assert crossing([(0.1, 0.4), (0.2, 0.8)]) == pytest.approx(0.2)
    assert crossing([(0.1, 0.6), (0.2, 1.0)]) == pytest.approx(0.15)
    assert crossing([(0.1, 0.2), (0.2, 0.7)]) is None
