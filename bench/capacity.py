"""How often the interval of a simulated capacity search holds the truth, and how wide it is after three minutes."""

import os
import statistics
from pathlib import Path

from bench.figures import Figure
from bench.simulated import Objective, Server, SimulatedTarget, true_loss_rate, true_p99_rate

from convload.capacity.search import relative_width, search
from convload.capacity.trials import SearchSettings, Tail

REPEATS = int(os.environ.get("BENCH_CAPACITY_REPEATS", "40"))
BUDGET_S = 180
SHAPES = ((50, 4, 1_000), (500, 8, 160), (5_000, 16, 30))
"""C·μ, servers, and the limit of p99 in milliseconds."""

Case = tuple[Server, Objective, float, str]


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


def simulated(_folder: Path) -> list[Figure]:
    """Whole searches in virtual time; every figure is exact for its seeds and no matter of the machine."""
    figures = []
    for name, case in cases().items():
        intervals = [interval(case, seed) for seed in range(REPEATS)]
        covered = statistics.mean(low <= case[2] <= high for low, high in intervals)
        width = statistics.median(relative_width(low, high) for low, high in intervals)
        figures += [
            Figure(f"{name}: truth in the interval", 100 * covered, "%", at_least=90),
            Figure(f"{name}: width, median", 100 * width, "%", at_most=5),
        ]
    return figures


def interval(case: Case, seed: int) -> tuple[float, float]:
    """Returns the interval that one search finds."""
    server, objective, _, arrivals = case
    target = SimulatedTarget(server, objective, seed, arrivals=arrivals)
    capacity = server.capacity_per_s
    settings = SearchSettings(
        start_rate=capacity / 8,
        max_rate=20 * capacity,
        min_rate=capacity / 200,
        budget_s=BUDGET_S,
        tail=Tail(objective.decay_per_s, 1.0 if arrivals == "poisson" else 0.0),
    )
    found = search(target, settings, target.clock).found
    return found.interval(settings.confidence) if found else (0.0, 0.0)
