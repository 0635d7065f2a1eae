from typing import TYPE_CHECKING, Any

import pytest
from bench.aborting import is_stopped
from bench.gates_picture import QUEUE, true_ms
from bench.queues import simulate

from convload.comparison.conclusion import Conclusion, conclude
from convload.errors import ExitCode
from convload.judging.aborting import check
from convload.plan.gate import Gate, Vocabulary, WrittenGate
from convload.plan.gate_grammar import parse_all
from convload.plan.schedule import StageMark
from convload.results.run import Run
from convload.results.runlog import Aborted, Note, RunLog

if TYPE_CHECKING:
    from tests.run_logs import Make

STAGES = [
    StageMark("warm-up", 0.0, 2.0, 100, 100, warmup=True),
    StageMark("calm", 2.0, 6.0, 100, 100),
    StageMark("spike", 8.0, 6.0, 100, 100),
]


def conditions(*texts: str) -> list[Gate]:
    gates, problems = parse_all([WrittenGate("", text) for text in texts], Vocabulary(), conditions=True)
    assert problems == []
    return gates


def first_alarm(log: RunLog, *texts: str) -> Aborted | None:
    """Looks at the log as it grows, second by second."""
    seen = []
    for interval in Run(log).intervals:
        seen.append(interval)
        found = check(conditions(*texts), Run(log), seen)
        if found:
            return found
    return None


def storm(from_s: int, failed: int = 60) -> Any:
    return lambda _, second: {"failed": failed} if second >= from_s else {}


def test_a_condition_that_surely_holds_over_its_window_is_told_with_its_figures(make: "Make") -> None:
    found = first_alarm(make.opened(storm(6), seconds=14), "create.p99 > 9s over 3s", "errors > 20% over 3s")

    assert found is not None
    assert (found.condition, found.at_s) == ("errors > 20% over 3s", 8.0)
    assert found.text.startswith("errors > 20% over 3s holds: 120 of 300, 40 % (")


@pytest.mark.parametrize(
    ("text", "failed"),
    [("errors > 59% over 3s", 60), ("errors > 20% over 20s", 60), ("errors[reset] > 1% over 3s", 60)],
)
def test_what_is_not_sure_stops_nothing(make: "Make", text: str, failed: int) -> None:
    assert first_alarm(make.opened(storm(2, failed), seconds=14), text) is None


def depending(make: "Make", vary: Any, **named: Any) -> RunLog:
    """A run whose plan does not say that requests are independent."""
    return make.opened(vary, independent=False, **named)


@pytest.mark.parametrize(("failed", "at_s"), [(60, 9.0), (100, 9.0)])
def test_a_target_that_breaks_is_stopped_once_the_window_is_bad_as_a_whole(
    make: "Make", failed: int, at_s: float
) -> None:
    found = first_alarm(depending(make, storm(6, failed), seconds=14), "errors > 20% over 3s")

    assert (found or Aborted(0, "", "")).at_s == at_s


def test_a_target_that_is_broken_from_the_start_is_stopped_soon(make: "Make") -> None:
    found = first_alarm(depending(make, storm(0, 100), seconds=14), "errors > 20% over 5s")

    assert (found or Aborted(0, "", "")).at_s == 7.0


def test_a_slow_target_is_stopped_by_its_times(make: "Make") -> None:
    slow = depending(make, lambda _, second: {"service_us": 900_000} if second >= 7 else {}, seconds=14)

    assert (first_alarm(slow, "create.p95 > 500ms over 3s") or Aborted(0, "", "")).at_s == 10.0


def test_one_bad_second_of_a_window_is_not_the_window(make: "Make") -> None:
    burst = depending(make, lambda _, second: {"failed": 100} if second == 7 else {}, seconds=14)

    assert first_alarm(burst, "errors > 15% over 4s") is None


def test_a_busy_queue_that_never_changes_is_not_stopped_at_its_own_median() -> None:
    """As independent requests, windows of 5 s differ from the median in all runs."""
    runs = simulate(QUEUE, 8, 20, seed=4)
    text = f"create.p50 > {true_ms(50):.3f}ms over 5s"
    each = list(zip(runs.due_s, runs.response_ms, strict=True))

    assert sum(is_stopped(*one, text, 20) for one in each) <= 1
    assert sum(is_stopped(*one, text, 20, independent=True) for one in each) > 4


def test_a_handful_of_failures_is_not_enough_however_large_their_share(make: "Make") -> None:
    assert first_alarm(make.opened(storm(2, 1), rate=2, seconds=14), "errors > 20% over 2s") is None
    assert first_alarm(make.opened(storm(2, 50), rate=100, seconds=14), "errors > 20% over 2s") is not None


def test_the_warm_up_stops_nothing(make: "Make") -> None:
    def cold(_: int, second: int) -> dict[str, int]:
        return {"failed": 90} if second < 2 else {}

    assert first_alarm(make.opened(cold, seconds=14), "errors > 20% over 2s") is None


def test_times_and_rates_are_looked_at_too(make: "Make") -> None:
    slow = make.opened(lambda _, second: {"service_us": 900_000} if second >= 7 else {}, seconds=14)
    stalled = make.opened(lambda _, second: {"sent": 700} if second >= 7 else {}, seconds=14)

    assert (first_alarm(slow, "create.p95 > 500ms over 2s") or Aborted(0, "", "")).at_s == 8.0
    assert (first_alarm(stalled, "rate < 60/s over 2s") or Aborted(0, "", "")).at_s == 8.0
    assert first_alarm(stalled, "offered < 60/s over 2s") is None


def test_a_condition_of_a_stage_looks_at_that_stage_alone(make: "Make") -> None:
    log = make.opened(lambda _, second: {"failed": 70} if second >= 8 else {}, seconds=14, stages=STAGES)

    assert first_alarm(log, "errors{stage=calm} > 20% over 2s") is None
    found = first_alarm(log, "errors{stage=spike} > 20% over 2s")
    assert found is not None
    assert found.at_s == 10.0


def test_all_workers_are_waited_for_but_not_one_that_is_silent(make: "Make") -> None:
    log = make.opened(storm(6), workers=2, seconds=14)
    one_alone = [part for part in Run(log).intervals if part.worker == 0 or part.n < 7]

    def looked(until_s: float) -> Aborted | None:
        seen = [part for part in one_alone if part.to_s <= until_s]
        return check(conditions("errors > 50% over 3s"), Run(log), seen)

    assert looked(9.0) is None
    assert (looked(11.0) or Aborted(0, "", "")).at_s == 11.0


def test_nothing_measured_yet_is_no_alarm(make: "Make") -> None:
    assert check(conditions("errors > 0% over 1s"), Run(make.opened()), []) is None


def stopped(make: "Make", *more: Any, vary: Any = None, **named: Any) -> Conclusion:
    log = make.opened(vary or storm(3), **named)
    cut = [record for record in log.records if getattr(record, "n", 0) < 6]
    cut.insert(-1, Aborted(6.0, "errors > 20% over 3s", "errors > 20% over 3s holds: 180 of 300, 60 %"))
    last = make.interval(6, [], 600, offered=600, last=True, files_free=900)
    return conclude(type(log)(log.manifest, [*cut[:-1], last, *more, cut[-1]], []))


def test_a_run_that_was_stopped_early_fails_for_that_reason_first(make: "Make") -> None:
    conclusion = stopped(make)

    assert (conclusion.verdict.outcome, conclusion.verdict.exit_code) == ("fail", ExitCode.GATE_FAILED)
    assert conclusion.verdict.reasons[0] == (
        "stopped early at 6.0 s by abort_when: errors > 20% over 3s holds: 180 of 300, 60 %"
    )
    assert conclusion.verdict.text.startswith("Fail: stopped early at 6.0 s by abort_when: errors > 20% over 3s holds")


def test_it_fails_even_when_its_gates_hold(make: "Make") -> None:
    conclusion = stopped(make, gates=["create.p50 < 9s"])

    assert [gate.outcome for gate in conclusion.gates] == ["pass"]
    assert conclusion.verdict.outcome == "fail"


def test_a_stopped_run_is_inconclusive_only_where_its_record_is_broken(make: "Make") -> None:
    unsent = stopped(make, vary=lambda _, second: {"failed": 60, "unsent": 3} if second >= 3 else {})
    damaged = stopped(make, Note(6.0, "the disk was full", invalidates=True))

    assert unsent.validity.valid
    assert unsent.verdict.outcome == "fail"
    assert damaged.verdict.outcome == "inconclusive"
    assert damaged.verdict.reasons == ["the disk was full"]


def test_starting_late_follows_from_the_target_only_where_it_held_every_user(make: "Make") -> None:
    def late(users: int) -> Any:
        return lambda *_: {"failed": 60, "lateness_us": 500_000, "users": users}

    assert stopped(make, vary=late(50)).verdict.outcome == "fail"
    assert stopped(make, vary=late(5)).verdict.outcome == "inconclusive"


def test_a_person_who_interrupts_goes_before_the_condition(make: "Make") -> None:
    assert stopped(make, Note(6.0, "Ctrl-C", interrupted=True)).verdict.outcome == "interrupted"
