"""Whole capacity searches at real mocks whose capacity is known: is it in the interval, how wide is that.

BENCH_LIVE_REPEATS sets how many searches there are of each kind. Those of low rates run side by side, as they leave
the machine idle.
"""

import json
import os
import statistics
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path

import msgspec
from bench.figures import Figure
from bench.simulated import true_p99_rate
from bench.tools import MEASURED, SLACK_S, run

REPEATS = int(os.environ.get("BENCH_LIVE_REPEATS", "2"))
BUDGET_S = 180
SERVICE_MS = 20
START_SHARE = 1 / 6
"""Of the capacity: doubling from there comes by it at a distance."""

Bounds = tuple[float, float]


class Case(msgspec.Struct, frozen=True):
    """A mock of so many servers: with a sharp knee at C·μ, or with chance in arrivals and services."""

    servers: int
    limit_ms: int
    side_by_side: int
    sharp: bool

    @property
    def saturated_per_s(self) -> float:
        """C·μ."""
        return self.servers * 1000 / SERVICE_MS

    @property
    def truth_per_s(self) -> float:
        """The rate at which the objective breaks: C·μ, or where theory has the p99 at its limit."""
        if self.sharp:
            return self.saturated_per_s
        return true_p99_rate(self.saturated_per_s, self.servers, self.limit_ms)

    @property
    def name(self) -> str:
        """As figures are headed."""
        return f"{self.saturated_per_s:,.0f}/s {'D/D/c' if self.sharp else 'M/M/c'}, p99 < {self.limit_ms} ms"

    def plan(self) -> str:
        """Returns the plan of a search."""
        return f"""
target = "mock"
model = "open"
arrivals = "{"even" if self.sharp else "poisson"}"
rate = {START_SHARE * self.saturated_per_s}
warmup = "0s"
duration = "10s"
consumers = "none"
max_in_flight = {max(200, 20 * self.servers)}
gates = ["errors < 1%", "create.p99 < {self.limit_ms}ms"]

[mock]
servers = {self.servers}
service_time = "{"constant" if self.sharp else "exponential"}({SERVICE_MS}ms)"
"""


SHAPES = ((1, 1_000, 4), (10, 250, 4), (100, 150, 1))
CASES = [Case(*shape, sharp) for shape in SHAPES for sharp in (True, False)]


def live(folder: Path) -> list[Figure]:
    """Searches each case some times."""
    found: dict[str, list[Bounds]] = {case.name: [] for case in CASES}
    for shape in SHAPES:
        cases = [case for case in CASES for _ in range(REPEATS) if case.servers == shape[0]]
        with ThreadPoolExecutor(cases[0].side_by_side) as pool:
            numbered = list(enumerate(cases))
            bounds = pool.map(lambda one: search(one[1], folder / f"{one[1].servers}-{one[0]}"), numbered)
            for case, its in zip(cases, bounds, strict=True):
                found[case.name].append(its)
    return [figure for case in CASES for figure in figures_of(case, found[case.name])] + [agreement([*found.values()])]


def search(case: Case, folder: Path) -> Bounds:
    """Runs one search and returns its interval; a bound that it does not have is 0 or infinite."""
    folder.mkdir()
    plan, out = folder / "plan.toml", folder / "run"
    plan.write_text(case.plan())
    command = [sys.executable, "-m", "convload.cli", "capacity", str(plan), "--no-overload", "--out", str(out)]
    run([*command, "--budget", f"{BUDGET_S}s"], timeout_s=BUDGET_S + SLACK_S, accept=MEASURED, cores=FREE)
    bounds = json.loads((out / "capacity.json").read_text())["capacity_per_s"]
    print(f"  {case.name}: {bounds['low']} to {bounds['high']}, truth {case.truth_per_s:.1f}", flush=True)
    return bounds["low"] or 0.0, bounds["high"] or float("inf")


FREE = frozenset(os.sched_getaffinity(0))


def figures_of(case: Case, found: Sequence[Bounds]) -> list[Figure]:
    """Returns how often the interval holds the truth and how wide it is."""
    held = sum(low <= case.truth_per_s <= high for low, high in found)
    width = statistics.median((high - low) / case.truth_per_s for low, high in found)
    note = f"{'; '.join(f'{low:,.4g} to {high:,.4g}' for low, high in found)}; truth {case.truth_per_s:,.4g}"
    return [
        Figure(f"{case.name}: truth in the interval", 100 * held / len(found), "%", at_least=90, note=note),
        Figure(f"{case.name}: width, median", 100 * width, "%", at_most=5),
    ]


def agreement(found: Sequence[Sequence[Bounds]]) -> Figure:
    """Returns how many of the pairs of repeats have intervals that share a rate."""
    pairs = [(one, other) for repeats in found for one, other in combinations(repeats, 2)]
    agree = sum(one[0] <= other[1] and other[0] <= one[1] for one, other in pairs)
    what = "repeats of a search agree"
    if not pairs:
        return Figure(what, None, "%", at_least=90, note="not measured: one search of each kind")
    return Figure(what, 100 * agree / len(pairs), "%", at_least=90, note=f"{len(pairs)} pairs")
