"""One rule for a run, for the trials of a search and for the doctor."""

from typing import TYPE_CHECKING, Any

import pytest

from convload.capacity.live import judged
from convload.capacity.steered import StageLog
from convload.judging.generator import is_generator_limit, limits_of_trial
from convload.judging.validity import examine
from convload.plan.facts import ValidityLimits
from convload.plan.plan import Plan
from convload.results.run import Run

if TYPE_CHECKING:
    from tests.run_logs import Make


def is_limit(run: Run, limits: ValidityLimits) -> bool:
    return is_generator_limit(run.measured_health, run.create.all_lateness, limits, run.plan.most_users)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({}, set()),
        ({"cpu_share": 0.96}, {"generator_saturated"}),
        ({"lateness_us": 20_000}, {"late"}),
        ({"cpu_share": 0.94, "lateness_us": 9_000}, set()),
    ],
)
def test_what_makes_a_run_invalid_makes_a_trial_the_generators(
    make: "Make", changes: dict[str, Any], named: set[str]
) -> None:
    run = Run(make.opened(lambda *_: dict(changes)))

    assert {reason.name for reason in examine(run).named} & {"generator_saturated", "late"} == named
    assert is_limit(run, ValidityLimits()) == bool(named)


def test_requests_that_start_late_while_all_users_are_busy_are_the_targets(make: "Make") -> None:
    late: dict[str, Any] = {"lateness_us": 20_000}

    assert is_limit(Run(make.opened(lambda *_: late | {"users": 49}, users=50)), ValidityLimits())
    assert not is_limit(Run(make.opened(lambda *_: late | {"users": 50}, users=50)), ValidityLimits())


def test_a_trial_of_two_seconds_can_be_saturated_and_a_run_of_two_cannot(make: "Make") -> None:
    run = Run(make.opened(lambda *_: {"cpu_share": 1.0}, seconds=4))

    assert not is_limit(run, ValidityLimits())
    assert is_limit(run, limits_of_trial(ValidityLimits()))


@pytest.mark.parametrize(("cpu_share", "outcome"), [(0.5, "generator"), (0.7, "undecided")])
def test_a_capacity_trial_goes_by_the_limits_of_its_plan(make: "Make", cpu_share: float, outcome: str) -> None:
    log = make.opened(lambda *_: {"cpu_share": 0.6})
    plan = Plan(validity=ValidityLimits(cpu_share=cpu_share))

    assert judged(StageLog(log, log.stages[1]), plan, [], 100, 10).outcome == outcome
