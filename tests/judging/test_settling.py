"""A measured time that begins before the target has settled is told of, with the warm-up that would do."""

import random
from typing import TYPE_CHECKING, Any

import pytest
from bench import steadiness
from bench.queues import Case, exponential, simulate

from convload.comparison.conclusion import conclude
from convload.judging.settling import settled_after
from convload.plan.schedule import StageMark

if TYPE_CHECKING:
    from tests.run_logs import Make


def cold(make: "Make", service_us: int, until_s: int, **named: Any) -> list[str]:
    """Answers that take 20 ms, give or take what chance does, and at first longer."""
    source = random.Random(1)

    def vary(_: int, second: int) -> dict[str, int]:
        return {"service_us": int((service_us if second < until_s else 20_000) * source.uniform(0.97, 1.03))}

    return conclude(make.opened(vary, seconds=42, **named)).summary.notes


def test_a_transient_behind_the_warm_up_is_told_with_the_warm_up_that_would_do(make: "Make") -> None:
    [note] = cold(make, 60_000, 7)

    assert note.startswith("the first 5 s of the measured time were not like the rest: their median service time was ")
    assert note.endswith("they count, and a warm-up of 7 s would have left them out")


@pytest.mark.parametrize(("service_us", "until_s"), [(60_000, 2), (21_500, 7)], ids=["in the warm-up", "of no account"])
def test_a_transient_that_does_not_count_is_not_told(make: "Make", service_us: int, until_s: int) -> None:
    assert cold(make, service_us, until_s) == []


def test_a_load_that_changes_at_first_is_not_looked_at(make: "Make") -> None:
    stages = [StageMark("warm-up", 0, 2, 100, 100, warmup=True), StageMark("climb", 2, 10, 50, 100)]

    assert cold(make, 60_000, 7, stages=[*stages, StageMark("hold", 12, 30, 100, 100)]) == []


def test_a_transient_that_dies_away_is_left_out_until_it_is_gone() -> None:
    source = random.Random(2)

    found = [
        settled_after([20 * (1 + 2.0 ** (1 - second / 2)) * source.gauss(1, 0.05) for second in range(60)])
        for _ in range(50)
    ]

    assert sum(map(bool, found)) >= 45
    assert 6 <= sorted(found)[25] <= 14


def test_a_busy_queue_that_never_changes_has_rarely_a_transient() -> None:
    runs = simulate(Case("M/M/8", 8, 0.9, exponential), 80, 30, seed=6)

    assert sum(bool(settled_after(one)) for one in steadiness.medians_of(runs, 30)) <= 3
