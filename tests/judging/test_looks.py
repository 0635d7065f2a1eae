"""A run that goes on until it is decided is looked at five times: how often is it wrong, where the truth is known?

Simulated runs of a target that is 90 % busy, whose requests wait for each other, with limits at the true percentiles:
whatever a gate decides there is wrong.
"""

from collections import Counter
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from bench.gates_picture import QUEUE, true_ms
from bench.queues import RATE, Floats, simulate
from tests.run_logs import Make

from convload.judging.gate_result import INCONCLUSIVE, PASS
from convload.judging.gates import judge
from convload.judging.plan_gates import confidence_of, gates_of, look_times_s
from convload.plan.schedule import StageMark
from convload.results.run import Run
from convload.results.runlog import Interval, Manifest, Record, RunLog, Started

RUNS, MOST_WRONG = 40, 3
"""Each bound is wrong in 1 % of runs, so a decision at the truth, to pass or to fail, comes in 2 %: 0.8 of 40."""

DURATION_S, EXTEND_S = 60, 60
INTERVAL_S = 1.5
"""Longer than a worker's, for less work; each look's ten batches are of whole intervals all the same."""

AT_THE_TRUTH = [f"create.p{percent} < {true_ms(percent):.3f}ms" for percent in (50, 95, 99)]
WINDOWS = f"create.p50 < {true_ms(50):.3f}ms over every 30s"
FAR = f"create.p50 < {2 * true_ms(50):.3f}ms"


def intervals_of(due_s: Floats, response_ms: Floats) -> list[Interval]:
    """What a worker would have written of a simulated run, second by second."""
    times_us = np.round(1000 * response_ms).astype(np.int64)
    begins_s = np.arange(0, DURATION_S + EXTEND_S + INTERVAL_S, INTERVAL_S)
    begins = np.searchsorted(due_s, begins_s).tolist()
    return [
        Make.interval(
            n,
            [Make.cell(times_us[at:end].tolist())],
            end,
            from_s=begins_s[n],
            to_s=begins_s[n + 1],
        )
        for n, (at, end) in enumerate(pairwise(begins))
    ]


@pytest.fixture(scope="module")
def simulated() -> list[list[Interval]]:
    runs = simulate(QUEUE, RUNS, DURATION_S + EXTEND_S, seed=11)
    return [intervals_of(*one) for one in zip(runs.due_s, runs.response_ms, strict=True)]


def manifest_of(gates: list[str], *, independent: bool) -> Manifest:
    return Make.manifest(
        model="open",
        arrivals="poisson",
        warmup_s=0.0,
        duration_s=float(DURATION_S),
        extend_s=float(EXTEND_S),
        independent=independent,
        gates=gates,
    )


def known_by(ends_s: float, manifest: Manifest, intervals: list[Interval]) -> Run:
    marks = [StageMark("hold", 0.0, ends_s, RATE, RATE)]
    known: list[Record] = [Started(0.0, 1), *(one for one in intervals if one.to_s <= ends_s)]
    return Run(RunLog(msgspec.structs.replace(manifest, stages=marks), known, []))


def decisions(simulated: list[list[Interval]], gates: list[str], *, independent: bool = False) -> Counter[str]:
    """Counts by gate the runs in which one of the looks decided it, and by gate and outcome."""
    manifest = manifest_of(gates, independent=independent)
    plan = Run(RunLog(manifest, [], [])).plan
    assert len(look_times_s(plan)) == 5
    counts: Counter[str] = Counter()
    for intervals in simulated:
        found: dict[str, str] = {}
        for ends_s in look_times_s(plan):
            run = known_by(ends_s, manifest, intervals)
            for result in judge(run, gates_of(plan), confidence=confidence_of(plan)):
                if result.outcome != INCONCLUSIVE:
                    found.setdefault(result.gate, result.outcome)
        counts.update(found.keys())
        counts.update(f"{gate} {outcome}" for gate, outcome in found.items())
    return counts


def test_five_looks_at_dependent_requests_are_wrong_no_more_often_than_promised(
    simulated: list[list[Interval]],
) -> None:
    wrong = decisions(simulated, [*AT_THE_TRUTH, WINDOWS])

    assert max((wrong[gate] for gate in [*AT_THE_TRUTH, WINDOWS]), default=0) <= MOST_WRONG


def test_five_looks_that_take_requests_for_independent_are_wrong_in_most_runs(
    simulated: list[list[Interval]],
) -> None:
    """Guards the test above: it would see what it looks for."""
    wrong = decisions(simulated[:20], AT_THE_TRUTH, independent=True)

    assert min(wrong[gate] for gate in AT_THE_TRUTH) > 10


def test_five_looks_decide_what_is_plain(simulated: list[list[Interval]]) -> None:
    found = decisions(simulated[:20], [FAR])

    assert found[f"{FAR} {PASS}"] > 10
