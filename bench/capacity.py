"""How often the interval of a simulated capacity search holds the truth, how wide it is, and what each term buys."""

import math
import os
import statistics
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import msgspec
from bench.figures import Figure
from bench.simulated import Objective, Server, SimulatedTarget, true_loss_rate, true_p99_rate

from convload.capacity.posterior import Model, Tail
from convload.capacity.result import conclude
from convload.capacity.search import relative_width, search
from convload.capacity.trials import SearchSettings
from convload.errors import ExitCode
from convload.results.capacity_result import CapacityResult

PROCESSES = int(os.environ.get("BENCH_PROCESSES", "0")) or None
"""That search side by side: as many as there are cores."""

REPEATS = int(os.environ.get("BENCH_CAPACITY_REPEATS", "40"))
ABLATION_REPEATS = int(os.environ.get("BENCH_ABLATION_REPEATS", "12"))
"""Twelve searches of each of nine targets take some twenty seconds of a core for a term."""

BUDGET_S = 180
SHAPES = ((50, 4, 1_000), (500, 8, 160), (5_000, 16, 30))
"""C·μ, servers, and the limit of p99 in milliseconds."""

Case = tuple[Server, Objective, float, str]
Found = tuple[float, float, float]
"""The interval, and the seconds that the search took."""

WITHOUT = {
    "nothing": Model(),
    "spread (taken to be 1)": Model(spread=False),
    "leaning": Model(leaning=False),
    "lapse": Model(lapse=0),
    "effect": Model(effect=False),
    "shift": Model(shift=0),
    "lean": Model(lean=0),
    "overload": Model(overload=False),
    "queues (a gap of any size)": Model(queues=0),
    "others (all are queues)": Model(queues=1),
    "misleading": Model(misleading=0),
    "collapsed": Model(collapsed=0),
    "shedding": Model(shedding=False),
}


def cases() -> dict[str, Case]:
    """Returns targets by name: server, objective, the true answer and the arrivals."""
    found: dict[str, Case] = {}
    for capacity, servers, limit_ms in SHAPES:
        random = Server(capacity_per_s=capacity, servers=servers)
        exact = Server(capacity_per_s=capacity, servers=servers, service_cv=0)
        queue = 5 * servers
        shedding = Server(capacity_per_s=capacity, servers=servers, queue=queue)
        p99 = Objective(p99_ms=limit_ms)
        found |= {
            f"{capacity:,}/s M/M/c, p99": (random, p99, true_p99_rate(capacity, servers, limit_ms), "poisson"),
            f"{capacity:,}/s M/M/c, growth": (random, Objective(), capacity, "poisson"),
            f"{capacity:,}/s M/M/c/K, errors": (
                shedding,
                Objective(),
                true_loss_rate(capacity, servers, queue, 0.01),
                "poisson",
            ),
            f"{capacity:,}/s M/D/c, growth": (exact, Objective(), capacity, "poisson"),
            f"{capacity:,}/s D/D/c, growth": (exact, Objective(), capacity, "even"),
        }
    return found


def others() -> dict[str, Case]:
    """Returns targets that queueing theory does not describe, as `cases` does."""
    p99 = Objective(p99_ms=160)
    paused = Server(capacity_per_s=500, servers=8, pause_share=0.03)
    collapsing = Server(capacity_per_s=500, servers=8, service_cv=0, slower_after_s=0.3)
    quota = Server(capacity_per_s=2_000, servers=32, quota_per_s=500)
    unsteady = Server(capacity_per_s=500, servers=8, service_cv=0, rate_error=0.005)
    late = Server(capacity_per_s=500, servers=8, late_above_per_s=300)
    return {
        "500/s, pauses in 3 % of trials, p99": (paused, p99, true_p99_rate(500, 8, 160), "poisson"),
        "500/s, slower when overloaded, growth": (collapsing, Objective(), 500, "even"),
        "500/s by quota, errors": (quota, Objective(), 500 / 0.99, "even"),
        "500/s, offered with an error of 0.5 %, growth": (unsteady, Objective(), 500, "even"),
        "500/s, late from 300/s on, p99": (late, p99, 300, "poisson"),
    }


def shapes() -> dict[str, Case]:
    """Returns what targets really are, as `cases` does: the true answer is what they carry all the time."""
    p99, slower = Objective(p99_ms=160), Objective(p99_ms=250)
    varied = Server(capacity_per_s=500, servers=8, service_cv=math.sqrt(math.e - 1))
    bucket = Server(capacity_per_s=2_000, servers=32, quota_per_s=500)
    return {
        "M/D/8": (Server(capacity_per_s=500, servers=8, service_cv=0), Objective(), 500, "poisson"),
        "M/M/8": (Server(capacity_per_s=500, servers=8), p99, true_p99_rate(500, 8, 160), "poisson"),
        "token bucket, burst 0.1 s": (bucket, Objective(), 500.4, "poisson"),
        "token bucket, burst 2 s": (msgspec.structs.replace(bucket, burst_s=2.0), Objective(), 505.7, "poisson"),
        "latency that grows smoothly": (
            Server(capacity_per_s=500, servers=10, smooth=True),
            p99,
            500 * math.sqrt(160 / (20 * math.log(100)) - 1),
            "poisson",
        ),
        "autoscaling": (
            Server(capacity_per_s=250, servers=4, scales_after_s=30),
            p99,
            true_p99_rate(500, 4, 160),
            "poisson",
        ),
        "pauses of 0.2 s every 10 s": (Server(capacity_per_s=500, servers=8, pause_every_s=10), slower, 445, "poisson"),
        "drift of 25 % in 2 min": (
            Server(capacity_per_s=500, servers=8, drift=0.25),
            p99,
            true_p99_rate(375, 8, 160),
            "poisson",
        ),
        "log-normal services": (varied, p99, 451.4, "poisson"),
        "processor sharing": (Server(capacity_per_s=500, servers=8, shares=True), p99, 440.5, "poisson"),
    }


SHAPES_BUDGET_S = 280


def shaped(_folder: Path) -> list[Figure]:
    """Searches of all shapes in virtual time: does the answer hold the truth, or say that it contradicts itself?"""
    figures = []
    with ProcessPoolExecutor(PROCESSES) as pool:
        for name, case in shapes().items():
            found = list(pool.map(partial(concluded, case, budget_s=SHAPES_BUDGET_S), range(REPEATS)))
            sure = [one for one in found if one.exit_code == ExitCode.PASS]
            held = sum(_holds(one, case[2]) for one in found)
            wrong = sum(not _holds(one, case[2]) for one in sure)
            width = statistics.median(one.width or 2.0 for one in found)
            kind, its = Counter(one.limit_kind or "none" for one in found).most_common(1)[0]
            note = f"width {100 * width:.2g} %; exit 3: {len(found) - len(sure)}; {kind}: {its} of {len(found)}"
            figures += [
                Figure(f"{name}: truth in the interval", 100 * held / len(found), "%", note=note),
                Figure(f"{name}: not told wrongly", 100 - 100 * wrong / len(found), "%", at_least=90),
            ]
            print(f"  {name}: {held} of {len(found)} hold the truth, {wrong} wrong; {note}", flush=True)
    return figures


def _holds(found: CapacityResult, truth: float) -> bool:
    bounds = found.capacity_per_s
    return (bounds.low or 0.0) <= truth <= (bounds.high or math.inf)


def simulated(_folder: Path) -> list[Figure]:
    """Whole searches in virtual time; every figure is exact for its seeds and no matter of the machine."""
    figures = []
    with ProcessPoolExecutor() as pool:
        for name, case in cases().items():
            found = list(pool.map(partial(interval, case), range(REPEATS)))
            figures += [
                Figure(f"{name}: truth in the interval", 100 * _covered(found, case), "%", at_least=90),
                Figure(f"{name}: width, median", 100 * _width(found), "%", at_most=5),
            ]
        queues = {name: case for name, case in cases().items() if name.startswith("500/s")}
        for left_out, model in WITHOUT.items():
            figures.append(_ablated(f"without {left_out}: queues", queues, model, pool))
            figures.append(_ablated(f"without {left_out}: others", others(), model, pool))
    return figures


def _ablated(what: str, targets: dict[str, Case], model: Model, pool: ProcessPoolExecutor) -> Figure:
    """Returns how often the truth is held without a term, over all these targets."""
    found = {
        name: list(pool.map(partial(interval, case, model=model), range(ABLATION_REPEATS)))
        for name, case in targets.items()
    }
    covered = {name: 100 * _covered(its, targets[name]) for name, its in found.items()}
    width = 100 * statistics.geometric_mean(_width(its) for its in found.values())
    took_s = statistics.mean(one[2] for its in found.values() for one in its)
    least = min(covered, key=lambda name: covered[name])
    note = f"{width:.2g} % wide, {took_s:.0f} s; least {covered[least]:.0f} %: {least}"
    return Figure(what, statistics.mean(covered.values()), "%", note=note)


def _covered(found: Sequence[Found], case: Case) -> float:
    return statistics.mean(low <= case[2] <= high for low, high, _ in found)


def _width(found: Sequence[Found]) -> float:
    return statistics.median(relative_width(low, high) for low, high, _ in found)


def interval(case: Case, seed: int, model: Model | None = None) -> Found:
    """Returns the interval that one search reports, and how long it took."""
    found, capacity = concluded(case, seed, model), _capacity(case)
    low, high = found.capacity_per_s.low, found.capacity_per_s.high
    return low or capacity / 200, high or 20 * capacity, found.took_s


def concluded(case: Case, seed: int, model: Model | None = None, budget_s: float = BUDGET_S) -> CapacityResult:
    """Returns what one search says."""
    server, objective, _, arrivals = case
    target, capacity = SimulatedTarget(server, objective, seed, arrivals=arrivals), _capacity(case)
    settings = SearchSettings(
        start_rate=capacity / 8,
        max_rate=20 * capacity,
        min_rate=capacity / 200,
        budget_s=budget_s,
        tail=Tail(objective.decay_per_s, 1.0 if arrivals == "poisson" else 0.0),
        model=model or Model(),
    )
    return conclude(search(target, settings, target.clock), [])


def _capacity(case: Case) -> float:
    return min(case[0].capacity_per_s, case[0].quota_per_s)
