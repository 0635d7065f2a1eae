from typing import TYPE_CHECKING, Any

import pytest

from convload.comparison.conclusion import conclude
from convload.judging.gate_result import GateResult
from convload.judging.plan_gates import judge_plan
from convload.results.run import Run
from convload.results.runlog import RunLog

if TYPE_CHECKING:
    from tests.run_logs import Make


def judge(log: RunLog) -> list[GateResult]:
    return judge_plan(Run(log))


@pytest.mark.parametrize(
    ("failed", "ok", "outcome"),
    [(0, 100, "pass"), (1, 99, "pass"), (2, 98, "fail"), (7, 693, "pass"), (8, 692, "fail"), (5, 0, "fail")],
)
def test_at_most_one_percent_of_failed_creates_passes(make: "Make", failed: int, ok: int, outcome: str) -> None:
    (gate,) = judge(make.sound(failed=failed, ok=ok))

    assert gate.outcome == outcome
    assert gate.value == pytest.approx(100 * failed / (failed + ok), abs=1e-4)
    assert None not in (gate.low, gate.value, gate.high)
    assert sorted([gate.low or 0, gate.value or 0, gate.high or 0]) == [gate.low, gate.value, gate.high]
    assert (gate.gate, gate.limit, gate.unit, gate.builtin) == ("errors <= 1%", 1.0, "%", True)


def test_no_sample_is_inconclusive_and_never_a_pass(make: "Make") -> None:
    (gate,) = judge(make.sound(ok=0))

    assert gate.outcome == "inconclusive"
    assert gate.value is gate.low is gate.high is None


def called(make: "Make", step: str, *, ok: int, failed: int, phase: str = "measure", **plan: Any) -> RunLog:
    """A run of ten creates, all of them well, and so many calls of another step."""
    others = {"step": step, "variant": "", "phase": phase}
    cells = [make.cell([1] * 10), make.cell([1] * ok, **others), make.cell([1] * failed, "http_500", **others)]
    parts = [[], [], [cell for cell in cells if cell.count]]
    last = len(parts) - 1
    return make.log(*(make.interval(n, parts[n], 10 * (n == last), last=n == last) for n in range(len(parts))), **plan)


@pytest.mark.parametrize(
    ("step", "name"),
    [
        ("conversation.send", "send"),
        ("conversation.close", "close"),
        ("token.consumer", "consumer"),
        ("survey", "survey"),
    ],
)
def test_every_step_has_a_gate_of_its_own_that_names_it(make: "Make", step: str, name: str) -> None:
    creates, others = judge(called(make, step, ok=98, failed=2))

    assert (creates.gate, creates.outcome) == ("errors <= 1%", "pass")
    assert (others.gate, others.outcome, others.value, others.builtin) == (f"{name}.errors <= 1%", "fail", 2.0, True)
    assert others.message.startswith(
        f"2 of 100 {step.removeprefix('conversation.')} requests failed: 2 % (at 99 % confidence 0.149 % to 8.14 %)"
    )


def test_a_step_that_fails_in_at_most_one_percent_passes(make: "Make") -> None:
    assert [gate.outcome for gate in judge(called(make, "conversation.close", ok=99, failed=1))] == ["pass", "pass"]


def test_attempts_of_a_retry_policy_are_judged_by_their_conversation_alone(make: "Make") -> None:
    log = called(make, "conversation.create.retry", ok=0, failed=9)

    assert [gate.gate for gate in judge(log)] == ["errors <= 1%"]


def test_no_step_but_creates_is_asked_for_where_none_was_called(make: "Make") -> None:
    assert [gate.gate for gate in judge(make.sound())] == ["errors <= 1%"]


@pytest.mark.parametrize("gates", [[], ["create.p50 < 1s"], ["create.p50 < 1s", "close.p50 < 1s"]])
@pytest.mark.parametrize("phase", ["measure", "cleanup"])
def test_a_step_that_never_succeeded_fails_a_run_by_whatever_gates(make: "Make", gates: list[str], phase: str) -> None:
    conclusion = conclude(called(make, "conversation.close", ok=0, failed=24, phase=phase, gates=gates))

    assert conclusion.verdict.outcome == "fail"
    assert "24 of 24 close requests failed" in conclusion.verdict.text


def test_a_step_that_failed_throughout_is_named_with_the_cause(make: "Make") -> None:
    *_, result = judge(called(make, "conversation.close", ok=0, failed=24, gates=["create.p50 < 1s"]))

    assert (result.gate, result.outcome, result.value, result.builtin) == ("close.errors < 100%", "fail", 100.0, True)
    assert result.message == "24 of 24 close requests failed, not one succeeded: http_500 (24)"


def test_a_step_that_succeeded_once_is_left_to_the_gates_of_the_plan(make: "Make") -> None:
    log = called(make, "conversation.close", ok=1, failed=99, gates=["errors < 50%"])

    assert [gate.gate for gate in judge(log)] == ["errors < 50%"]


@pytest.mark.parametrize("text", ["close.errors >= 99%", "close.errors[http_500] > 50%"])
def test_a_gate_on_the_errors_of_a_step_says_what_is_expected_of_it(make: "Make", text: str) -> None:
    assert [gate.gate for gate in judge(called(make, "conversation.close", ok=0, failed=900, gates=[text]))] == [text]


def test_the_message_says_what_was_measured_allowed_and_which_figure_decides(make: "Make") -> None:
    (gate,) = judge(make.sound(failed=2, ok=98))

    assert gate.message == (
        "2 of 100 create requests failed: 2 % (at 99 % confidence 0.149 % to 8.14 %); "
        "at most 1 % is allowed; the point value decides"
    )


@pytest.mark.parametrize(("failed", "unsent", "outcome"), [(5, 3, "pass"), (5, 4, "fail"), (0, 9, "fail")])
def test_what_was_never_sent_is_an_error_of_the_run(make: "Make", failed: int, unsent: int, outcome: str) -> None:
    def vary(_: int, second: int) -> dict[str, int]:
        return {"unsent": unsent} if second == 9 else {"failed": failed} if second == 5 else {}

    (gate,) = judge(make.opened(vary))

    assert gate.outcome == outcome
    assert gate.value == pytest.approx(100 * (failed + unsent) / (800 + unsent), abs=1e-4)
    assert gate.message.startswith(
        f"{failed + unsent} of {800 + unsent} arrivals came to nothing: {failed} failed, {unsent} were never sent"
    )


def test_a_share_of_next_to_nothing_is_told_in_full(make: "Make") -> None:
    (gate,) = judge(make.sound(failed=1, ok=3_000_000))

    assert "3,000,001 create requests failed: 0.0000333 % (at 99 % confidence 0.000000335 % to " in gate.message
