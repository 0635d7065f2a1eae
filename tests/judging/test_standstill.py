"""A target that stood still has failed, though one event decides no bound."""

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from convload.judging.plan_gates import judge_plan
from convload.judging.standstill import standstills
from convload.results.run import Run
from convload.results.runlog import Interval, RunLog

if TYPE_CHECKING:
    from tests.run_logs import Make

GATE = "create.p95 < 250ms"


def stood_still(make: "Make", seconds: set[int], *, waiting: int = 200, rate: int = 100, gate: str = GATE) -> Run:
    """A run of 30 s whose target answered nothing in some seconds, and everything in the one after."""
    log = make.opened(rate=rate, seconds=32, gates=[gate], independent=False)
    records: list[Any] = []
    held = 0
    for record in log.records:
        if not isinstance(record, Interval):
            records.append(record)
            continue
        answered = record.recorded - held
        if record.n in seconds:
            held += rate
            changes: dict[str, Any] = {"cells": [], "recorded": answered - rate, "in_flight": waiting}
        else:
            slow = make.cell([1000] * rate, response_us=[2_000_000] * rate, lateness_us=[50] * rate, stage="hold")
            changes = {"cells": [*record.cells, *[slow] * (held // rate)]}
            held = 0
        records.append(msgspec.structs.replace(record, **changes))
    return Run(RunLog(log.manifest, records, []))


def test_a_run_that_stood_still_fails_by_its_own_value(make: "Make") -> None:
    of = stood_still(make, {10, 11, 12})

    (result,) = judge_plan(of)

    assert [(one.from_s, one.to_s) for one in standstills(of)] == [(10, 13)]
    assert result.outcome == "fail"
    assert result.message.startswith("create.p95 < 250ms is broken: 2,000 ms of 3,000 requests; the target stood still")


def test_as_many_slow_answers_without_a_standstill_are_left_to_the_bounds(make: "Make") -> None:
    log = make.opened(
        lambda _, second: {"service_us": 2_000_000} if second in {10, 11, 12} else {},
        seconds=32, gates=[GATE], independent=False,
    )  # fmt: skip

    (result,) = judge_plan(Run(log))

    assert standstills(Run(log)) == []
    assert result.outcome == "inconclusive"


def test_a_gate_that_holds_all_the_same_does_not_fail(make: "Make") -> None:
    (result,) = judge_plan(stood_still(make, {10, 11}, gate="create.p50 < 250ms"))

    assert result.outcome != "fail"


@pytest.mark.parametrize("named", [{"waiting": 0}, {"rate": 10}], ids=["nobody waited", "few answers a second"])
def test_a_second_in_which_little_was_to_be_answered_is_no_standstill(make: "Make", named: dict[str, Any]) -> None:
    assert standstills(stood_still(make, {10, 11, 12}, **named)) == []


def silent(make: "Make", *silences: tuple[float, float], workers: int = 1) -> Run:
    """A run of 30 s in which some hundred requests were slow; each worker tells of a silence."""

    def vary(worker: int, second: int) -> dict[str, Any]:
        from_s, to_s = silences[min(worker, len(silences) - 1)]
        slow = {"service_us": 600_000} if second in {10, 11} else {}
        if not from_s < second + 1 < to_s + 1:
            return slow
        return slow | {"silent_from_s": from_s, "silent_to_s": min(to_s, second + 1.0)}

    log = make.opened(vary, workers=workers, seconds=32, gates=[GATE], independent=False)
    return Run(log)


@pytest.mark.parametrize(
    ("silences", "stood"),
    [
        ([(10.3, 11.3)], [(10.3, 11.3)]),
        ([(10.3, 14.1)], [(10.3, 14.1)]),
        ([(10.3, 11.0)], []),
        ([(10.3, 11.4), (10.4, 11.4)], [(10.4, 11.4)]),
        ([(10.3, 11.4), (12.3, 13.4)], []),
        ([(0.3, 1.4)], []),
    ],
    ids=["of a second", "over several intervals", "shorter", "of both workers", "of one worker each", "in the warm-up"],
)
def test_a_standstill_is_what_no_worker_had_an_answer_in(
    make: "Make", silences: list[tuple[float, float]], stood: list[tuple[float, float]]
) -> None:
    of = silent(make, *silences, workers=len(silences))

    assert [(one.from_s, one.to_s) for one in standstills(of)] == stood


def test_a_standstill_between_two_full_seconds_fails_the_gate_that_it_breaks(make: "Make") -> None:
    (result,) = judge_plan(silent(make, (10.3, 11.3)))
    (unexplained,) = judge_plan(silent(make, (10.3, 10.9)))

    assert (result.outcome, unexplained.outcome) == ("fail", "inconclusive")
