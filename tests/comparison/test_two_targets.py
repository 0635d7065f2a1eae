from typing import TYPE_CHECKING

import pytest
from tests.turns_sample import Vary, alike, failing, log_of, slower_by

from convload.comparison.conclusion import Conclusion, conclude
from convload.comparison.outcomes import IMPROVED, REGRESSED, SAME, UNKNOWN
from convload.comparison.two_targets import TargetComparison, too_few
from convload.results.runlog import Interval, Note, RunLog

if TYPE_CHECKING:
    from tests.run_logs import Make


def turns_of(conclusion: Conclusion) -> TargetComparison:
    assert conclusion.target_comparison is not None
    return conclusion.target_comparison


def test_equal_targets_pass_and_the_verdict_says_how_equal() -> None:
    conclusion = conclude(log_of(groups=8))

    assert (conclusion.verdict.outcome, turns_of(conclusion).outcome) == ("pass", SAME)
    assert conclusion.verdict.text.startswith("Pass: B is no slower than A beyond noise: create p99 +0.0 % (-")
    assert (turns_of(conclusion).pairs, turns_of(conclusion).windows) == (16, 32)
    assert [gate.gate for gate in conclusion.gates] == ["errors <= 1% (A)", "errors <= 1% (B)"]


def test_a_slower_b_fails_the_run_with_figures_and_interval() -> None:
    verdict = conclude(log_of(slower_by(1.2), groups=8)).verdict

    assert (verdict.outcome, verdict.exit_code) == ("fail", 1)
    assert verdict.reasons[-1].startswith("B regressed from A: create p99 +")
    assert verdict.reasons[-1].endswith("12.4 ms instead of 10.3 ms")
    assert " to +" in verdict.reasons[-1]


def test_a_faster_b_passes_and_is_called_better() -> None:
    conclusion = conclude(log_of(slower_by(0.8), groups=8))

    assert turns_of(conclusion).outcome == IMPROVED
    assert conclusion.verdict.text.startswith("Pass: B improved on A: create p99 -")


def test_each_target_has_its_own_figures_and_they_add_up_to_the_steps_of_both() -> None:
    conclusion = conclude(log_of(failing("B", 40)))
    create = {target: steps["conversation.create"] for target, steps in turns_of(conclusion).figures.items()}

    assert {target: (row.count, row.ok) for target, row in create.items()} == {"A": (1000, 1000), "B": (1000, 600)}
    assert conclusion.summary.steps["conversation.create"].count == 2000
    assert conclusion.summary.stages == {}
    assert any("both together" in note for note in conclusion.summary.notes)


def test_a_b_that_fails_too_often_fails_the_run() -> None:
    conclusion = conclude(log_of(failing("B", 40)))

    assert conclusion.verdict.outcome == "fail"
    assert conclusion.verdict.reasons[0].startswith("target B: 400 of 1,000 create requests failed")


def test_a_broken_a_says_nothing_of_b() -> None:
    conclusion = conclude(log_of(failing("A", 40)))

    assert (conclusion.verdict.outcome, conclusion.verdict.exit_code) == ("inconclusive", 3)
    assert "a broken A says nothing of B" in conclusion.verdict.reasons[0]


def test_errors_that_are_allowed_and_yet_more_than_those_of_a_are_a_regression() -> None:
    vary: Vary = lambda target, second: alike(target, second) | {"failed": 10 * (target == "B")}  # noqa: E731 -- a vary
    conclusion = conclude(log_of(vary, rate=1200))

    assert [gate.outcome for gate in conclusion.gates] == ["pass", "pass"]
    assert conclusion.verdict.reasons[0].startswith("B regressed from A: create errors +0.8 percentage points (+")


def test_too_few_pairs_say_how_long_a_run_must_be() -> None:
    conclusion = conclude(log_of(groups=4))

    assert conclusion.verdict.outcome == "inconclusive"
    (reason,) = conclusion.verdict.reasons
    assert reason == (
        "A and B cannot be compared: 10 pairs of windows are needed, there are 8; it takes 20 s of measuring with "
        "windows of 1 s, or windows of 0.8 s"
    )


def test_no_window_is_proposed_that_a_plan_may_not_have() -> None:
    assert too_few(8, 0.25, 2.0).endswith("it takes 5 s of measuring with windows of 0.25 s")


def test_a_last_group_that_was_cut_short_is_left_out() -> None:
    log = log_of(groups=6)
    kept = [record for record in log.records if not (isinstance(record, Interval) and record.from_s >= 25)]
    stopped = RunLog(log.manifest, [*kept, Note(25.0, "stopped", interrupted=True)], [])

    turns = turns_of(conclude(stopped))

    assert (turns.pairs, turns.left_out) == (10, 4)


def test_the_rate_of_an_open_load_is_its_schedule_and_is_not_compared() -> None:
    opened, closed = conclude(log_of()), conclude(log_of(model="closed"))

    assert "rate" not in {one.statistic for one in turns_of(opened).differences}
    assert "rate" in {one.statistic for one in turns_of(closed).differences}


def test_a_step_of_few_windows_cannot_be_told_and_spoils_nothing(make: "Make") -> None:
    log = log_of()
    token = make.cell([900] * 3, step="token.app", variant="", stage="A 1")
    records = [
        Interval(**{name: getattr(r, name) for name in r.__struct_fields__} | {"cells": [*r.cells, token]})
        if isinstance(r, Interval) and r.n == 3
        else r
        for r in log.records
    ]

    turns = turns_of(conclude(RunLog(log.manifest, records, [])))

    assert {one.outcome for one in turns.differences if one.step == "token.app"} == {UNKNOWN}
    assert turns.outcome == SAME


@pytest.mark.parametrize("only", ["A", "B"])
def test_requests_that_never_succeed_in_few_windows_do_not_break_the_draws(make: "Make", only: str) -> None:
    log = log_of()
    many = make.cell([900] * 900, step="conversation.close", variant="", stage=f"{only} 1")
    other = make.cell([900] * 900, step="conversation.close", variant="", stage="B 2" if only == "A" else "A 2")
    first = next(record for record in log.records if isinstance(record, Interval))
    changed = Interval(**{name: getattr(first, name) for name in first.__struct_fields__} | {"cells": [many, other]})
    records = [changed if record is first else record for record in log.records]

    turns = turns_of(conclude(RunLog(log.manifest, records, [])))
    closing = [one for one in turns.differences if one.step == "conversation.close"]

    assert {one.outcome for one in closing} == {UNKNOWN}
    assert "needs 10 pairs of windows with such requests, A has 1" in {one.why for one in closing}


def test_a_b_without_one_answer_is_no_pass() -> None:
    conclusion = conclude(log_of(failing("B", 100)))

    assert conclusion.verdict.outcome == "fail"
    assert REGRESSED in {one.outcome for one in turns_of(conclusion).differences if one.statistic == "errors"}
