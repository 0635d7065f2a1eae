import functools
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from convload.comparison.conclusion import Conclusion, conclude
from convload.plan.schedule import StageMark
from convload.results.drift import Drift
from convload.results.runlog import RunLog

if TYPE_CHECKING:
    from tests.run_logs import Make

MB = 1_000_000
SECONDS = 62
"""Two of them are the warm-up."""

Vary = Callable[[int, int], dict[str, Any]]


def concluded(make: "Make", vary: Vary, **named: Any) -> Conclusion:
    return conclude(make.opened(vary, **({"seconds": SECONDS} | named)))


def of(found: Conclusion, name: str) -> Drift:
    (one,) = [one for one in found.drift if one.name == name]
    return one


def _at(times_us: list[int], _: int, second: int) -> dict[str, Any]:
    return {"service_us": times_us[second]}


def test_a_steady_run_drifts_in_nothing(make: "Make") -> None:
    source = random.Random(1)
    found = concluded(
        make, lambda *_: {"service_us": source.randint(900, 1100), "failed": source.randint(0, 3)}, workers=2
    )

    assert {one.verdict for one in found.drift} == {"steady"}
    assert [one.name for one in found.drift] == [
        *("service p50", "service p90", "error share", "lateness p90"),
        *("memory of worker 0", "memory of worker 1"),
    ]
    assert found.summary.notes == []


def test_times_that_rise_are_told_with_both_thirds_and_by_the_hour(make: "Make") -> None:
    found = concluded(make, lambda _, second: {"service_us": 1000 + 10 * (second - 2)})
    one = of(found, "service p50")

    assert (one.verdict, one.unit, one.stretch, one.seconds) == ("drifts", "ms", "stage hold", 60)
    assert one.first == pytest.approx(1.095, rel=0.01)
    assert one.last == pytest.approx(1.495, rel=0.01)
    # 10 µs a second are 36 ms an hour.
    assert one.change_per_hour == pytest.approx(36, rel=0.02)
    assert one.p is not None
    assert one.p < 1e-6


def test_the_median_drifts_exactly_when_the_run_is_not_steady(make: "Make") -> None:
    source = random.Random(2)
    for slope_us in range(12):
        times_us = [round(1000 + slope_us * second + source.gauss(0, 60)) for second in range(SECONDS)]
        found = concluded(make, functools.partial(_at, times_us))
        not_steady = "not_steady" in {reason.name for reason in found.validity.named}
        assert (of(found, "service p50").verdict == "drifts") == not_steady


def test_rare_errors_that_become_more_are_found_and_noted(make: "Make") -> None:
    found = concluded(
        make, lambda _, second: {"failed": int(second % max(2, 20 - second // 25) == 0)}, seconds=602, rate=50
    )
    one = of(found, "error share")

    assert one.verdict == "drifts"
    assert one.first is not None
    assert one.last is not None
    assert one.first < 0.2 < one.last
    (note,) = found.summary.notes
    assert note.startswith("drift: in stage hold the error share rose from ")
    assert found.validity.valid


def test_a_tenth_of_a_percent_of_errors_is_where_a_drift_of_them_begins(make: "Make") -> None:
    found = concluded(make, lambda _, second: {"failed": int(second > 50)}, rate=2000)

    assert of(found, "error share").verdict == "steady"


def test_memory_of_a_worker_that_grows_a_little_is_noted(make: "Make") -> None:
    found = concluded(
        make, lambda worker, second: {"memory_bytes": 100 * MB + worker * second * MB // 3}, workers=2, rate=100
    )

    assert [of(found, f"memory of worker {worker}").verdict for worker in (0, 1)] == ["steady", "drifts"]
    (note,) = found.summary.notes
    assert "the memory of worker 1 rose from 104 to 117 MB" in note
    assert "load generator" not in note


@pytest.mark.parametrize(
    ("start_mb", "step_mb", "named"),
    [(100, 2.0, True), (100, 1.0, False), (1000, 4.0, False), (1000, 7.0, True)],
)
def test_the_generator_is_named_when_its_memory_grows_by_a_fifth_and_50_mb(
    make: "Make", start_mb: int, step_mb: float, *, named: bool
) -> None:
    found = concluded(make, lambda _, second: {"memory_bytes": int((start_mb + step_mb * second) * MB)})

    assert found.validity.valid
    (note,) = found.summary.notes
    assert ("it is the load generator that grows here" in note) == named


def test_microseconds_of_lateness_are_no_drift_and_milliseconds_are(make: "Make") -> None:
    timer = concluded(make, lambda _, second: {"lateness_us": 50 + second})
    waiting = concluded(make, lambda _, second: {"lateness_us": 50 + 50 * second})

    assert of(timer, "lateness p90").verdict == "steady"
    assert of(waiting, "lateness p90").verdict == "drifts"


def test_a_run_that_is_too_short_has_none(make: "Make") -> None:
    assert concluded(make, lambda _, second: {"service_us": 1000 + 40 * second}, seconds=21).drift == []


def test_what_was_seen_for_too_few_seconds_says_so_beside_the_others(make: "Make") -> None:
    found = concluded(make, lambda _, second: {"failed": 100 if second > 15 else 0})

    assert (of(found, "service p50").verdict, of(found, "service p50").p) == ("too short", None)
    assert of(found, "error share").verdict == "drifts"


def test_tests_share_the_significance_among_all_of_them(make: "Make") -> None:
    """Memory whose p is 0.0009: less than 0.01 over the 5 tests of one worker, not over the 54 of fifty."""

    def vary(_: int, second: int) -> dict[str, Any]:
        return {"memory_bytes": (80 if second % 3 == 0 or second > 46 else 60) * MB}

    alone = of(concluded(make, vary, workers=1), "memory of worker 0")
    among_many = of(concluded(make, vary, workers=50), "memory of worker 0")

    assert alone.p == among_many.p == pytest.approx(0.0009, rel=0.01)
    assert (alone.verdict, among_many.verdict) == ("drifts", "steady")


def test_each_stretch_of_constant_load_is_tested_for_itself(make: "Make") -> None:
    stages = [
        StageMark("warm-up", 0, 2, 100, 100, warmup=True),
        StageMark("low", 2, 25, 100, 100),
        StageMark("short", 27, 5, 100, 100),
        StageMark("high", 32, 30, 100, 100),
    ]
    found = concluded(make, lambda _, second: {"service_us": 1000 + 50 * max(0, second - 32)}, stages=stages)

    assert [(one.stretch, one.verdict) for one in found.drift if one.quantity == "service p50"] == [
        ("stage low", "steady"),
        ("stage high", "drifts"),
    ]


def test_a_closed_run_has_no_lateness_to_drift(make: "Make") -> None:
    log: RunLog = make.log(
        *(
            make.interval(n, [make.cell([1000] * 9, phase="warmup" if n < 2 else "measure")], 9 * (n + 1), last=n == 24)
            for n in range(25)
        ),
        duration_s=23.0,
    )

    assert [one.name for one in conclude(log).drift] == [
        *("service p50", "service p90", "error share"),
        "memory of worker 0",
    ]


@pytest.mark.parametrize(("limit", "outcome"), [("1.5ms", "fail"), ("3ms", "pass")])
def test_a_soak_that_waives_unsteadiness_is_judged_by_its_windows(make: "Make", limit: str, outcome: str) -> None:
    found = concluded(
        make,
        lambda _, second: {"service_us": 1000 + 10 * second},
        validity={"waive": ["not_steady"]},
        gates=[f"create.p50 < {limit} over every 15s"],
    )

    assert found.verdict.outcome == outcome
    assert of(found, "service p50").verdict == "drifts"
    assert [reason.name for reason in found.validity.waived] == ["not_steady"]
