import random
from typing import TYPE_CHECKING

import pytest
from bench import steadiness
from bench.queues import Case, exponential, simulate

from convload.judging.load_rules import examine_steadiness
from convload.plan.facts import ValidityLimits
from convload.plan.schedule import StageMark
from convload.results.drift import trend
from convload.results.run import Run
from convload.results.runlog import RunLog, StageAdded

if TYPE_CHECKING:
    from tests.run_logs import Make

RUNS = 1000


def examined(log: RunLog) -> tuple[list[str], list[str]]:
    found, left_out = examine_steadiness(Run(log))
    return [text for _, text in found], left_out


def series(source: random.Random, seconds: int, spread: float, memory: float) -> list[float]:
    """Times around 10 ms; each second keeps a share of the last one's deviation."""
    deviation, values = 0.0, []
    for _ in range(seconds):
        deviation = memory * deviation + source.gauss(0, spread)
        values.append(10 * max(0.1, 1 + deviation))
    return values


def is_alarm(values: list[float]) -> bool:
    found = trend(values)
    return found.p < ValidityLimits().trend_significance and abs(found.change) > ValidityLimits().trend_change


@pytest.mark.parametrize("seconds", [20, 30, 120, 600])
@pytest.mark.parametrize(("spread", "memory"), [(0.3, 0.0), (0.05, 0.0), (0.05, 0.5), (0.01, 0.9)])
def test_a_steady_run_is_called_unsteady_at_most_twice_in_a_hundred(seconds: int, spread: float, memory: float) -> None:
    source = random.Random(1)

    alarms = sum(is_alarm(series(source, seconds, spread, memory)) for _ in range(RUNS // 4))

    assert alarms / (RUNS // 4) <= 0.02


def test_a_queue_that_is_nearly_full_and_never_changes_is_rarely_called_unsteady() -> None:
    """Without what neighbouring seconds have in common it would be 13 of 150."""
    runs = simulate(Case("M/M/8", 8, 0.95, exponential), RUNS // 10, 60, seed=5)

    assert sum(steadiness.is_alarm(one) for one in steadiness.medians_of(runs, 60)) <= 3


def test_times_that_double_at_once_are_found() -> None:
    source = random.Random(4)

    for _ in range(20):
        values = [value * (1 + (at >= 30)) for at, value in enumerate(series(source, 60, 0.1, 0.3))]
        assert is_alarm(values)


@pytest.mark.parametrize("seconds", [40, 60, 600])
def test_times_that_double_are_always_found(seconds: int) -> None:
    source = random.Random(2)

    for _ in range(100):
        values = [value * (1 + at / seconds) for at, value in enumerate(series(source, seconds, 0.1, 0.3))]
        assert is_alarm(values)


@pytest.mark.parametrize(("rise_us", "found"), [(7, 0), (14, 1)])
def test_a_rise_of_less_than_a_fifth_of_a_millisecond_is_no_reason(make: "Make", rise_us: int, found: int) -> None:
    log = make.opened(lambda _, second: {"service_us": 1000 + rise_us * second}, seconds=32)

    assert len(examined(log)[0]) == found


def test_the_test_keeps_its_significance_without_the_least_change() -> None:
    source = random.Random(3)

    alarms = sum(trend(series(source, 30, 0.3, 0.0)).p < 0.01 for _ in range(RUNS))

    assert 0.001 < alarms / RUNS < 0.02


def test_equal_values_have_no_trend() -> None:
    assert trend([3.0] * 30).p == 1.0


def test_a_run_whose_times_rise_is_not_steady(make: "Make") -> None:
    log = make.opened(lambda _, second: {"service_us": 1000 + 40 * second}, seconds=24)

    (text,) = examined(log)[0]

    assert text.startswith("not steady: in stage hold the median service time rose from 1.2")


def test_a_small_trend_is_no_reason(make: "Make") -> None:
    assert examined(make.opened(lambda _, second: {"service_us": 10_000 + 40 * second}, seconds=24))[0] == []


def test_a_short_run_is_not_tested_and_says_so(make: "Make") -> None:
    assert examined(make.opened(lambda _, second: {"service_us": 1000 + 40 * second}, seconds=22))[1] == []
    found, left_out = examined(make.opened(lambda _, second: {"service_us": 1000 + 40 * second}, seconds=21))

    assert found == []
    assert left_out == ["whether the run was steady: it needs 20 s of constant load, the longest stretch has 19 s"]


def test_only_stages_of_constant_rate_are_tested(make: "Make") -> None:
    ramp = [StageMark("warm-up", 0, 2, 100, 100, warmup=True), StageMark("climb", 2, 30, 100, 101)]

    found, left_out = examined(
        make.opened(lambda _, second: {"service_us": 1000 + 40 * second}, seconds=32, stages=ramp)
    )

    assert found == []
    assert "the longest stretch has 0 s" in left_out[0]


def test_a_closed_run_is_tested_over_its_measured_time(make: "Make") -> None:
    parts = [
        make.interval(
            n, [make.cell([1000 + 40 * n] * 9, phase="warmup" if n < 2 else "measure")], 9 * (n + 1), last=n == 24
        )
        for n in range(25)
    ]

    (text,) = examined(make.log(*parts, duration_s=23.0))[0]

    assert "in the measured time the median service time rose" in text


@pytest.mark.parametrize(("rate", "starts_s", "is_found"), [(100, 14.0, True), (101, 14.0, False), (100, 15.0, False)])
def test_a_stage_that_goes_on_with_the_one_before_it_is_tested_with_it(
    make: "Make", rate: int, starts_s: float, is_found: bool
) -> None:
    planned = [StageMark("warm-up", 0, 2, 100, 100, warmup=True), StageMark("hold", 2, 12, 100, 100)]
    log = make.opened(lambda _, second: {"service_us": 1000 + 40 * second}, seconds=26, stages=planned)
    log.records.insert(1, StageAdded(12.5, StageMark("extension 1", starts_s, 26 - starts_s, rate, rate)))

    texts = examined(log)[0]

    assert [text.partition(" the median")[0] for text in texts] == ["not steady: in stage hold"] * is_found
