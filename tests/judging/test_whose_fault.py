"""A load that came late: whether the target or the generator is to blame, as the table in docs/validity.md has it."""

from typing import TYPE_CHECKING, Any

import pytest

from convload.comparison.conclusion import Conclusion, conclude
from convload.results.runlog import RunLog

if TYPE_CHECKING:
    from tests.run_logs import Make

FROM_S = 4
GATE = "create.p99 < 250ms"


def judged(log: RunLog) -> Conclusion:
    return conclude(log)


def frozen(make: "Make", seconds: int, *, awaiting: int = 40, **changes: Any) -> RunLog:
    """Arrivals that wait for a target that stands still, and are answered at once when it goes on."""

    def vary(_: int, second: int) -> dict[str, Any]:
        if FROM_S <= second < FROM_S + seconds:
            late_us = 1_000_000 * (FROM_S + seconds - second) - 500_000
            return {"lateness_us": late_us, "awaiting": awaiting, "users": 40} | changes
        return {"awaiting": 1}

    return make.opened(vary, seconds=20, gates=[GATE])


@pytest.mark.parametrize("seconds", [1, 3, 10])
def test_arrivals_that_wait_for_a_frozen_target_fail_the_run(make: "Make", seconds: int) -> None:
    found = judged(frozen(make, seconds))

    assert found.verdict.outcome == "fail", found.verdict
    assert [reason.name for reason in found.validity.named] == ["late"]
    assert found.validity.valid


def test_a_frozen_target_is_told_as_the_targets_doing(make: "Make") -> None:
    [late] = judged(frozen(make, 3)).validity.named

    assert late.by_target
    assert late.text.startswith("requests started late: lateness p99 2,")


@pytest.mark.parametrize(
    "changes",
    [
        {"hub_delay_ms": 3000.0},
        {"cpu_share": 0.97},
        {"cpu_share": 0.4, "cpu_wait_share": 0.58},
        {"awaiting": 10},
        {"awaiting": 0},
    ],
    ids=["stopped", "busy", "starved", "users that think", "nobody waits"],
)
def test_what_the_generators_own_clocks_explain_never_fails_a_run(make: "Make", changes: dict[str, Any]) -> None:
    found = judged(frozen(make, 3, **changes))

    assert found.verdict.outcome == "inconclusive", found.verdict
    assert "late" in [reason.name for reason in found.validity.named if reason.invalidates]


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"cpu_share": 0.4, "cpu_wait_share": 0.58}, "generator_saturated"),
        ({"hub_delay_ms": 1500.0}, "hub_delay"),
    ],
)
def test_a_closed_load_of_a_starved_or_stopped_generator_supports_no_verdict(
    make: "Make", changes: dict[str, Any], name: str
) -> None:
    slow = [make.interval(n, [make.cell([900_000] * 100)], 100 * n + 100, last=n == 9, **changes) for n in range(2, 10)]
    first = [make.interval(n, [], 100 * n) for n in range(2)]

    found = judged(make.log(*first, *slow, gates=[GATE]))

    assert name in [reason.name for reason in found.validity.named]
    assert found.verdict.outcome == "inconclusive"


def test_a_stall_that_explains_a_few_late_requests_does_not_excuse_a_freeze(make: "Make") -> None:
    assert judged(frozen(make, 3, hub_delay_ms=60.0)).verdict.outcome == "fail"


def unsent(make: "Make", gates: list[str], **changes: Any) -> Conclusion:
    def vary(_: int, second: int) -> dict[str, Any]:
        held = {"awaiting": 50, "users": 50, "lateness_us": 900_000} | changes
        return held | ({"unsent": 300, "offered": 1300} if second == 9 else {}) if second > 6 else {"awaiting": 1}

    return judged(make.opened(vary, gates=gates))


def test_arrivals_that_a_held_load_never_sent_leave_a_failure_standing(make: "Make") -> None:
    assert unsent(make, [GATE]).verdict.outcome == "fail"


def test_arrivals_that_were_never_sent_leave_no_pass(make: "Make") -> None:
    found = unsent(make, ["create.p99 < 30s"])

    assert found.verdict.outcome == "inconclusive"
    assert any("never sent" in reason for reason in found.verdict.reasons)


def test_arrivals_that_a_busy_generator_never_sent_support_no_verdict(make: "Make") -> None:
    assert unsent(make, [GATE], cpu_share=1.0).verdict.outcome == "inconclusive"


def test_a_frozen_target_whose_gates_hold_all_the_same_is_no_pass(make: "Make") -> None:
    log = frozen(make, 3)
    log.manifest.plan["gates"] = ["errors < 1%"]

    assert judged(log).verdict.outcome == "inconclusive"


def test_a_log_without_users_that_wait_is_judged_as_it_was(make: "Make") -> None:
    log = make.opened(lambda *_: {"lateness_us": 400_000, "users": 50}, gates=[GATE])

    assert judged(log).verdict.outcome == "inconclusive"
