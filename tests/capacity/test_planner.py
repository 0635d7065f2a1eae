"""The arithmetic of the planner."""

import math
import subprocess
import sys

import pytest
from scipy import stats

from convload.capacity.overload import OverloadTrial, judge_overload
from convload.capacity.planner import (
    generator_need,
    instances,
    peak_of_day,
    poisson_quantile,
    read_profile,
)
from convload.errors import UsageError


def test_the_interval_of_the_capacity_is_carried_to_the_instances() -> None:
    plan = instances(1200, 0.3, low_per_s=200, high_per_s=250)

    assert (plan.fewest, plan.most, plan.with_one_lost) == (7, 9, 10)
    assert plan.load_share == pytest.approx(1200 / 1800)
    assert plan.load_share_one_lost == pytest.approx(1200 / 1600)
    assert "takes 9 instances (between 7 and 9 by the interval), 10 to keep the headroom with one lost" in plan.text


def test_an_exact_fit_takes_no_instance_more() -> None:
    assert instances(700, 0.3, 100, 100).most == 10


def test_without_a_lower_bound_no_number_follows() -> None:
    plan = instances(1200, 0.3, None, 250)

    assert plan.most is None
    assert "does not follow" in plan.text


def test_wrong_needs_are_told_all_at_once() -> None:
    with pytest.raises(UsageError) as told:
        instances(0, 1.0, 100, 110)

    assert len(told.value.problems) == 2


def within(most: int, mean: float) -> float:
    return sum(math.exp(-mean) * mean**k / math.factorial(k) for k in range(most + 1))


def test_the_busiest_hour_and_its_peak_are_found() -> None:
    hours = read_profile("hour,conversations\n08:00,18000\n09:00,36000\n", "day.csv")

    stated = peak_of_day(hours, peak_to_mean=1.5)
    poisson = peak_of_day(hours)

    assert (stated.hour, stated.required_per_s) == ("09:00", 15)
    peak = round(poisson.required_per_s)
    assert within(peak, 10) ** 3600 >= 0.99 > within(peak - 1, 10) ** 3600
    assert poisson.required_per_s == peak


@pytest.mark.parametrize("mean", [0.0, 1e-6, 0.3, 1.0, 10.0, 250.0, 123_456.7])
def test_the_quantiles_of_poisson_are_scipys(mean: float) -> None:
    shares = [1e-9, 0.01, 0.5, 0.99, 0.99 ** (1 / 3600), 1 - 1e-9, float(stats.poisson.cdf(3, mean))]

    assert [poisson_quantile(share, mean) for share in shares] == [
        max(float(stats.poisson.ppf(share, mean)), 0) for share in shares
    ]


def test_wrong_lines_of_a_profile_are_told_all_at_once() -> None:
    with pytest.raises(UsageError) as told:
        read_profile("hour,conversations\n08:00,many\n09:00\n10:00,-1\n11:00,5\n", "day.csv")

    assert [problem[:9] for problem in told.value.problems] == ["day.csv:2", "day.csv:3", "day.csv:4"]


def test_a_generator_needs_connections_by_littles_law_with_room_for_chance() -> None:
    need = generator_need(25_000, 40)

    assert need.in_flight == 1000
    assert need.connections == 1000 + 127 + 1
    assert need.workers == 3
    assert need.megabits_per_s == pytest.approx(500)


def overload_trial(factor: float, ok_per_s: float, shed: int) -> OverloadTrial:
    count = int(1000 * factor)
    return OverloadTrial(
        factor=factor,
        offered_per_s=count / 10,
        count=count,
        ok=int(ok_per_s * 10),
        duration_s=10,
        statuses={"503": shed},
    )


def test_a_target_that_sheds_keeps_its_goodput_and_recovers() -> None:
    seen = judge_overload(
        [overload_trial(2.0, 98, 1020), overload_trial(1.0, 100, 0)], [900, None, 300, 110, 90, 100, 100], normal_ms=100
    )

    assert not seen.collapses
    assert seen.points[1].shed_share == pytest.approx(0.51)
    assert seen.points[1].shed_by == {"503": pytest.approx(0.51)}
    assert seen.points[1].failed_share == pytest.approx(0)
    assert seen.recovery_s == 3


def test_a_target_that_collapses_and_does_not_recover_is_told() -> None:
    seen = judge_overload([overload_trial(1.0, 100, 0), overload_trial(1.5, 40, 0)], [900.0] * 30, normal_ms=100)

    assert seen.collapses
    assert seen.recovery_s is None
    assert "not normal again within 30 s" in seen.text


def test_a_search_is_not_kept_waiting_for_all_of_scipys_statistics() -> None:
    code = "import sys, convload.cli.capacity; sys.exit('scipy.stats' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


def test_large_figures_are_written_in_full() -> None:
    assert " 1,200 tokens/s" in generator_need(1200, 20).text


def test_a_capacity_without_an_upper_bound_tells_the_most_instances_only() -> None:
    assert instances(500.0, 0.3, 41.3, None).text.startswith("500/s with 30 % headroom takes at most 18 instances, 19 ")
