from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from convload.judging.estimates import percentile_ranks
from convload.judging.forecast import decided_by, plan_warnings
from convload.plan.gate_grammar import parse
from convload.plan.schedule import StageMark
from convload.results.run import Run

if TYPE_CHECKING:
    from tests.run_logs import Make

DEPENDENT: dict[str, Any] = {"independent": False}
WEIGHTS = {"minimal": 1.0, "customer": 9.0}


def warned(make: "Make", *gates: str, rate: int = 100, seconds: int = 12, **plan: Any) -> list[str]:
    log = make.opened(rate=rate, seconds=seconds, gates=list(gates), **plan)
    return plan_warnings(Run(log).plan, log.manifest.stages, WEIGHTS)


@pytest.mark.parametrize(
    ("gate", "named", "said"),
    [
        (
            "create.p99 < 1s",
            {"rate": 40},
            "at least 459 samples, the plan expects about 400; 12 s of measuring at 40/s",
        ),
        ("create.p99.9 < 1s", {}, "at least 4,603 samples, the plan expects about 1,000; 47 s of measuring at 100/s"),
        ("create{variant=minimal}.p99 < 1s", {}, "at least 459 samples, the plan expects about 100; 46 s"),
        ("create{stage=hold}.p99 < 1s", {"rate": 40}, "the plan expects about 400"),
        ("errors < 0.1%", {}, "at least 4,603 samples, the plan expects about 1,000"),
        ("create.p99 < 1s over every 2s", {}, "at least 459 samples in each window of 2 s, the plan expects about 200"),
        ("create.p50 < 1s over every 20s", {}, "no window of 20 s fits into the plan"),
        ("create.p99 <= baseline * 1.1", {"rate": 50}, "at least 528 samples, the plan expects about 500"),
        ("create{stage=hold}.p99 < 1s", {"rate": 60, "extend_s": 60.0}, "619 samples, the plan expects about 600;"),
        ("create.p99 < 1s", {"rate": 60, "extend_s": 0.1}, "at least 619 samples, the plan expects about 606"),
        ("create.p99 < 1s", {}, "it may stay undecided; about 6,"),
        ("conversation.close.p99 < 1s", {"rate": 40}, "the plan expects about 400"),
    ],
)
def test_a_gate_that_the_plan_cannot_decide_is_told_with_what_would_do(
    make: "Make", gate: str, named: dict[str, Any], said: str
) -> None:
    (warning,) = warned(make, gate, **named)

    assert warning.startswith(f"{gate}: ")
    assert said in warning


@pytest.mark.parametrize(
    ("gate", "named"),
    [
        ("create.p99 < 1s", {"rate": 1000}),
        ("create.p99 < 1s", {"extend_s": 600.0}),
        ("rate >= 100/s", {}),
        ("unsent == 0", {}),
        ("errors == 0", {}),
        ("create.max < 1s", {}),
        ("token.app.p99 < 1s", {}),
        ("token.consumer.p99 < 1s", {"consumers": "close"}),
    ],
)
def test_what_can_be_decided_or_cannot_be_known_is_not_warned_of(
    make: "Make", gate: str, named: dict[str, Any]
) -> None:
    assert warned(make, gate, **named) == []


def test_a_closed_run_is_planned_by_its_count_and_not_by_its_time(make: "Make") -> None:
    log = make.log(gates=["create.p99 < 1s"], conversations=50, duration_s=None)
    timed = make.log(gates=["create.p99 < 1s"])

    (warning,) = plan_warnings(Run(log).plan, [], {})

    assert "at least 459 samples, the plan expects about 50;" in warning
    assert plan_warnings(Run(timed).plan, [], {}) == []


def test_windows_are_planned_by_the_slowest_part_of_the_load(make: "Make") -> None:
    stages = [StageMark("ramp", 0.0, 10.0, 10, 1000), StageMark("hold", 10.0, 10.0, 1000, 1000)]
    facts = Run(make.opened(gates=["create.p95 < 1s over every 5s"])).plan

    (warning,) = plan_warnings(facts, stages, {})

    assert "the plan expects about 50;" in warning


def test_the_estimate_decides_nine_of_ten_runs_of_what_it_assumes() -> None:
    gate = parse("create.p95 < 100ms")
    count = decided_by(gate, 100, 0.99)
    assert count is not None
    _, high = percentile_ranks(count, 95, 0.99)
    assert high is not None
    random = np.random.default_rng(5)
    times = random.exponential(90 / -np.log(0.05), (400, count))

    decided = (np.sort(times, axis=1)[:, high - 1] < 100).mean()

    assert 0.84 < decided < 0.96


def test_a_run_that_is_too_short_to_know_dependence_is_warned_of(make: "Make") -> None:
    (warning,) = warned(make, "create.p50 < 1s", rate=1000, seconds=12, **DEPENDENT)

    assert warning.startswith("create.p50 < 1s: 10 s are too short to know")


def test_without_an_earlier_run_a_busy_target_is_named(make: "Make") -> None:
    (warning,) = warned(make, "create.p99 < 1s", rate=30, seconds=22, **DEPENDENT)

    assert "at least 676 samples, the plan expects about 600" in warning
    assert warning.endswith("where the target is 80 % busy, 20 times as many, as requests wait for each other")


def test_what_the_last_run_found_of_dependence_is_what_is_expected(make: "Make") -> None:
    log = make.opened(rate=1000, seconds=62, gates=["create.p99 < 1s"], **DEPENDENT)
    plan, stages = Run(log).plan, log.manifest.stages

    (warning,) = plan_warnings(plan, stages, WEIGHTS, {"create.p99 < 1s": 200.0})

    assert plan_warnings(plan, stages, WEIGHTS, {"create.p99 < 1s": 2.0}) == []
    assert "at least 135,0" in warning
    assert "in the last run of this plan 200 requests were worth one independent one" in warning
