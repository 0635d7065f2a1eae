"""How often a condition of `abort_when` stops a run at a simulated target that never changes.

The limit is the true percentile, or above it; a window of such a target may well be worse than the limit by chance.
"""

import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from bench.figures import Figure
from bench.queues import RATE, Case, Floats, exponential, simulate

from convload.contract.steps import CREATE
from convload.judging.aborting import check
from convload.plan.gate import Vocabulary, WrittenGate
from convload.plan.gate_grammar import parse_all
from convload.plan.schedule import StageMark
from convload.results.histogram import Histogram, Integers
from convload.results.run import Run
from convload.results.runlog import FORMAT, MEASURE, Cell, Interval, Manifest, RunLog, Started

RUNS = int(os.environ.get("ABORTING_RUNS", "50"))
SECONDS = 60
WINDOW_S = 5
AT_MOST_PERCENT = 2.0
CASES = [Case("M/M/8", 8, busy, exponential) for busy in (0.9, 0.95)]
PLAN: dict[str, Any] = {
    "name": "aborting",
    "target": "mock",
    "account": "1",
    "model": "open",
    "arrivals": "poisson",
    "workers": 1,
    "users": 2000,
    "warmup_s": 0.0,
    "seed": 7,
    "consumers": "none",
}


def aborting(_folder: Path) -> list[Figure]:
    """Returns the share of runs that were stopped, for limits at the truth and half above it."""
    return [figure for case in CASES for figure in _of_case(case)]


def _of_case(case: Case) -> Iterator[Figure]:
    runs = simulate(case, RUNS, SECONDS, seed=3)
    measured = runs.response_ms[(runs.due_s >= 0) & (runs.due_s < SECONDS)]
    for percent, above in ((50, 1.0), (50, 1.5), (99, 1.0), (99, 1.5)):
        limit_ms = above * float(np.percentile(measured, percent))
        text = f"create.p{percent} > {limit_ms:.3f}ms over {WINDOW_S}s"
        stops = sum(map(bool, (is_stopped(*one, text) for one in zip(runs.due_s, runs.response_ms, strict=True))))
        what = f"{case.name}, {100 * case.busy:g} % busy: p{percent} > {above:g} × the truth over {WINDOW_S} s"
        yield Figure(what, 100 * stops / RUNS, "%", at_most=AT_MOST_PERCENT, note=f"stopped, of {RUNS} runs")


def is_stopped(
    due_s: Floats, response_ms: Floats, text: str, seconds: int = SECONDS, *, independent: bool = False
) -> bool:
    """Says whether a condition stops a run, looked at each second as it grows."""
    conditions, problems = parse_all([WrittenGate("", text)], Vocabulary(), conditions=True)
    assert not problems, problems
    manifest = Manifest(
        *(FORMAT, "2026-01-02T03:04:05Z", PLAN | {"duration_s": float(seconds), "independent": independent}),
        *({}, {}, "http://127.0.0.1:1"),
        stages=[StageMark("hold", 0.0, float(seconds), RATE, RATE)],
    )
    begins = np.searchsorted(due_s, np.arange(seconds + 1)).tolist()
    times_us = np.round(1000 * response_ms).astype(np.int64)
    parts = [_interval(n, times_us[at:end], end - begins[0]) for n, (at, end) in enumerate(pairwise(begins))]
    looks = (parts[max(0, n - 20) : n] for n in range(1, seconds + 1))
    return any(check(conditions, Run(RunLog(manifest, [Started(0.0, 1), *seen], [])), seen) for seen in looks)


def _interval(n: int, times_us: Integers, done: int) -> Interval:
    cell = Cell(CREATE, "", MEASURE, "ok", len(times_us), Histogram.of(times_us), stage="hold")
    return Interval(
        worker=0,
        n=n,
        from_s=float(n),
        to_s=float(n + 1),
        cells=[cell],
        users=9,
        in_flight=0,
        built=done,
        sent=done,
        recorded=done,
        offered=done,
        cpu_share=0.3,
        memory_bytes=1,
    )
