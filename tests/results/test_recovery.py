from typing import TYPE_CHECKING

import pytest

from convload.comparison.conclusion import conclude
from convload.plan.schedule import StageMark
from convload.results.recovery import Recovery, first_normal
from convload.results.runlog import RunLog

if TYPE_CHECKING:
    from tests.run_logs import Make

WARMUP = StageMark("warm-up", 0, 2, 100, 100, warmup=True)
BEFORE = StageMark("before", 2, 6, 100, 100)
SPIKE = StageMark("spike", 8, 2, 400, 400)
AFTER = StageMark("after", 10, 10, 100, 100)
PLAIN = [WARMUP, BEFORE, SPIKE, AFTER]


def run(make: "Make", slow: set[int], stages: list[StageMark] = PLAIN, failing: frozenset[int] = frozenset()) -> RunLog:
    """A log of 20 s: 1 ms a response, 5 ms in the slow seconds; in the failing ones most are refused."""
    return make.opened(
        lambda _, second: {"service_us": 5000 if second in slow else 1000, "failed": 80 if second in failing else 0},
        seconds=20,
        stages=stages,
    )


def only(log: RunLog) -> Recovery:
    (found,) = conclude(log).recoveries
    return found


def test_recovered_is_from_the_fall_to_the_first_normal_second(make: "Make") -> None:
    found = only(run(make, slow={8, 9, 10, 11}))

    assert (found.stage, found.from_rate, found.to_rate) == ("spike", 400, 100)
    assert (found.recovered_s, found.watched_s) == (2.0, 10.0)
    assert found.normal_ms == pytest.approx(1.05, rel=0.01)


def test_a_quick_second_between_slow_ones_is_no_recovery(make: "Make") -> None:
    assert only(run(make, slow={10, 11, 14})).recovered_s == 5.0


def test_a_target_that_stays_slow_has_not_recovered_within_what_was_watched(make: "Make") -> None:
    found = only(run(make, slow=set(range(8, 20))))

    assert (found.recovered_s, found.watched_s) == (None, 10.0)


def test_seconds_in_which_most_fail_are_not_normal_however_quick_the_others_are(make: "Make") -> None:
    assert only(run(make, slow={10}, failing=frozenset({11, 12, 13}))).recovered_s == 4.0


def test_a_spike_without_a_calm_stage_before_it_has_nothing_to_be_compared_with(make: "Make") -> None:
    stages = [WARMUP, StageMark("spike", 2, 8, 400, 400), AFTER]

    assert conclude(run(make, set(), stages)).recoveries == []


@pytest.mark.parametrize(("to_rate", "falls"), [(200, 1), (201, 0), (0.5, 1)])
def test_a_rate_falls_when_it_is_half_or_less(make: "Make", to_rate: float, falls: int) -> None:
    stages = [WARMUP, BEFORE, SPIKE, StageMark("after", 10, 10, to_rate, to_rate)]

    assert len(conclude(run(make, set(), stages)).recoveries) == falls


def test_a_climb_to_the_spike_is_a_part_of_it(make: "Make") -> None:
    stages = [WARMUP, StageMark("before", 2, 3, 100, 100), StageMark("climb", 5, 3, 100, 400), SPIKE, AFTER]

    assert only(run(make, {5, 6, 7, 8, 9, 10}, stages)).recovered_s == 1.0


def test_watching_ends_where_the_next_spike_begins(make: "Make") -> None:
    stages = [
        *PLAIN[:3],
        StageMark("between", 10, 4, 100, 100),
        StageMark("again", 14, 2, 400, 400),
        StageMark("after", 16, 4, 100, 100),
    ]
    first, second = conclude(run(make, {10, 13, 16}, stages)).recoveries

    assert (first.recovered_s, first.watched_s) == (None, 4.0)
    assert (second.stage, second.recovered_s, second.watched_s) == ("again", 1.0, 4.0)


def test_a_closed_run_has_no_rate_that_could_fall(make: "Make") -> None:
    assert conclude(make.sound()).recoveries == []


@pytest.mark.parametrize(
    ("after_ms", "begins"),
    [
        ([], None),
        ([10, 10], None),
        ([12, 12, 12], 0),
        ([12.1, 12, 12], None),
        ([30, None, 10, 10, 10], 2),
        ([10, 10, None, 10, 10, 10], 3),
    ],
)
def test_normal_again_takes_three_in_a_row_within_a_fifth(after_ms: list[float | None], begins: int | None) -> None:
    assert first_normal(after_ms, 10.0) == begins
