"""How often `convload compare` raises a false alarm, and how often it finds a difference that is there.

Pairs of made runs go through the whole path (run log, reading, comparing): log-normal service times around a level that
wanders from second to second (an AR(1) process), Poisson counts, one error in 500, of the same distribution or with all
times a tenth longer. Then pairs of real short runs against the mock, made in turns, both of the same settings.

BENCH_PAIRS sets how many made pairs there are of each kind, BENCH_REAL_RUNS how many real runs.
"""

import math
import os
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from bench.figures import Figure
from bench.tools import MEASURED, ROOT, SLACK_S, run
from scipy import stats

from convload.comparison.batches import batches_of
from convload.comparison.compare import CONFIDENCE, WITHIN, Comparison, compare
from convload.comparison.outcomes import IMPROVED, REGRESSED, Rule
from convload.comparison.power import seconds_needed
from convload.comparison.samples import Sample
from convload.comparison.sides import ComparedRun, read_run
from convload.contract.steps import CREATE
from convload.results import runlog
from convload.results.histogram import Histogram
from convload.results.runlog import Cell, Ended, Interval, Manifest, Record, Started
from convload.results.writing import RunLogWriter

PAIRS = int(os.environ.get("BENCH_PAIRS", "250"))
REAL_RUNS = int(os.environ.get("BENCH_REAL_RUNS", "12"))
REAL_SECONDS = 15
SHIFT = 1.1
FALSE_ALARMS_PERCENT, FOUND_PERCENT = 2.0, 90.0
_ERRORS = 0.002
_PILOT_SECONDS = 60


class Service(msgspec.Struct, frozen=True):
    """What a made run measures.

    `level_sigma` is by how much the logarithm of the level wanders, `memory` its correlation from second to second.
    """

    rate: float = 500.0
    seconds: int = 60
    median_ms: float = 20.0
    sigma: float = 0.4
    level_sigma: float = 0.03
    memory: float = 0.5
    workers: int = 1


def write_run(
    folder: Path,
    service: Service,
    chance: np.random.Generator,
    *,
    longer: float = 1.0,
    plan: dict[str, Any] | None = None,
) -> Path:
    """Writes the run log of a made run whose times are so many times longer; `plan` changes keys of its plan."""
    folder.mkdir(parents=True)
    writer = RunLogWriter(folder / runlog.FILE_NAME)
    for record in records(service, chance, longer=longer, plan=plan):
        writer.write(record)
    writer.close()
    return folder


def records(
    service: Service, chance: np.random.Generator, *, longer: float = 1.0, plan: dict[str, Any] | None = None
) -> Iterator[Record]:
    """Yields the records of a made run, valid and whole."""
    yield _manifest(service, plan or {})
    yield Started(1_767_323_045.0, 1)
    done, level = 0, chance.normal(0, service.level_sigma)
    for second in range(service.seconds):
        count = int(chance.poisson(service.rate))
        failed = int(chance.binomial(count, _ERRORS))
        times_us = 1000 * service.median_ms * longer * np.exp(level + service.sigma * chance.standard_normal(count))
        done += count
        parts = {"ok": times_us[failed:], "http_503": times_us[:failed]}
        cells = [_cell(outcome, times) for outcome, times in parts.items() if len(times)]
        yield _interval(second, cells, done, last=second == service.seconds - 1)
        fresh = chance.normal(0, service.level_sigma * math.sqrt(1 - service.memory**2))
        level = service.memory * level + fresh
    yield Ended(float(service.seconds))


def _manifest(service: Service, plan: dict[str, Any]) -> Manifest:
    facts = {
        "name": "made",
        "target": "mock",
        "account": "12345678",
        "model": "closed",
        "users": 50,
        "workers": 1,
        "duration_s": float(service.seconds),
        "warmup_s": 0.0,
        "seed": 1,
        "mix": "default",
        "consumers": "none",
        # The level is made to wander; a run of which that is said would be no evidence.
        "validity": {"waive": ["not_steady"]},
    }
    started = "2026-01-02T03:04:05Z"
    return Manifest(runlog.FORMAT, started, facts | plan, {"convload": "0"}, {"cores": 2}, "http://127.0.0.1:1")


def _cell(outcome: str, times_us: np.ndarray[Any, Any]) -> Cell:
    encoded = Histogram.of(times_us.astype(np.int64)).encode()
    return Cell(CREATE, "made", "measure", outcome, len(times_us), encoded)


def _interval(second: int, cells: list[Cell], done: int, *, last: bool) -> Interval:
    return Interval(
        worker=0,
        n=second,
        from_s=float(second),
        to_s=float(second + 1),
        cells=cells,
        users=50,
        in_flight=0,
        built=done,
        sent=done,
        recorded=done,
        cpu_share=0.3,
        memory_bytes=50_000_000,
        files_free=900,
        last=last,
    )


class Rates(msgspec.Struct, frozen=True):
    """What became of so many pairs: those with any statistic called different, and the outcomes of p99."""

    pairs: int
    alarms: int
    p99: Counter[str]


def judge_pairs(comparisons: Iterator[Comparison]) -> Rates:
    """Counts what comparisons say."""
    pairs, alarms, p99 = 0, 0, Counter[str]()
    for one in comparisons:
        pairs += 1
        alarms += any(difference.outcome in {IMPROVED, REGRESSED} for difference in one.differences)
        p99.update(found.outcome for found in one.differences if (found.step, found.statistic) == (CREATE, "p99"))
    return Rates(pairs, alarms, p99)


def made_pairs(folder: Path, service: Service, pairs: int, *, longer: float, seed: int) -> Iterator[Comparison]:
    """Compares pairs of made runs, the second with times so many times longer."""
    chance = np.random.default_rng(seed)
    for number in range(pairs):
        sides = [(1.0, folder / f"{number}-base"), (longer, folder / f"{number}-new")]
        runs = [read_run(write_run(path, service, chance, longer=times)) for times, path in sides]
        yield compare(runs[:1], runs[1:])


def planned(folder: Path, service: Service, seed: int = 1) -> Service:
    """Returns the service with runs as long as the planner asks for after a pilot run, to find a p99 a tenth longer."""
    pilot_of = msgspec.structs.replace(service, seconds=_PILOT_SECONDS)
    pilot = read_run(write_run(folder / "pilot", pilot_of, np.random.default_rng(seed)))
    needed_s = seconds_needed(Sample(batches_of(pilot.log)[CREATE]), "p99", Rule(CONFIDENCE[WITHIN]))
    return msgspec.structs.replace(service, seconds=math.ceil(needed_s))


def comparison(folder: Path) -> list[Figure]:
    """False alarms and detections of made and of real pairs."""
    return [*_made(folder), *_real(folder / "real")]


def _made(folder: Path) -> list[Figure]:
    figures = []
    for memory in (0.5, 0.8):
        service = planned(folder / f"plan-{memory}", Service(memory=memory))
        name = f"made pairs, {service.seconds} s at {service.rate:g}/s as planned, correlation {memory:g}"
        same, shifted = (
            judge_pairs(made_pairs(folder / f"{memory}-{longer}", service, PAIRS, longer=longer, seed=2))
            for longer in (1.0, SHIFT)
        )
        figures += [
            alarms(name, same),
            _share(f"{name}, p99 +10 % found", shifted.p99[REGRESSED], shifted.pairs, at_least=FOUND_PERCENT),
        ]
    return figures


def alarms(name: str, rates: Rates) -> Figure:
    """Tells the rate of false alarms."""
    return _share(f"{name}, same: called different", rates.alarms, rates.pairs, at_most=FALSE_ALARMS_PERCENT)


def _share(name: str, hits: int, count: int, **bounds: float) -> Figure:
    low, high = exact_bounds(hits, count)
    note = f"{hits} of {count}; 95 % from {100 * low:.2g} to {100 * high:.3g} %"
    return Figure(name, 100 * hits / count, "%", note=note, **bounds)


def exact_bounds(hits: int, count: int) -> tuple[float, float]:
    """Returns the 95 % interval of a share: Clopper and Pearson, Biometrika 26 (1934)."""
    interval = stats.binomtest(hits, count).proportion_ci(0.95)
    return float(interval.low), float(interval.high)


def _real(folder: Path) -> list[Figure]:
    """Compares every two of a handful of real runs: the pairs share runs, so their number says less than it seems."""
    runs = [_real_run(folder / f"{number}", number) for number in range(REAL_RUNS)]
    # Whether a loaded machine supports a verdict is not asked here.
    rates = judge_pairs(compare([one], [other], force=True) for one, other in combinations(runs, 2))
    told = alarms(f"all pairs of {REAL_RUNS} real runs of {REAL_SECONDS} s at the mock, service p50 20 ms", rates)
    return [told]


def _real_run(folder: Path, seed: int) -> ComparedRun:
    folder.parent.mkdir(parents=True, exist_ok=True)
    plan = folder.with_suffix(".toml")
    # The last table is the mock's: with the same seed, request k would take the same time in every run.
    plan.write_text(f"{(ROOT / 'comparison_plan.toml').read_text()}seed = {seed}\n")
    command = [sys.executable, "-m", "convload.cli", "run", str(plan), "--seed", str(seed)]
    command += ["--duration", f"{REAL_SECONDS}s", "--out", str(folder)]
    run(command, timeout_s=REAL_SECONDS + SLACK_S, accept=MEASURED)
    return read_run(folder)
