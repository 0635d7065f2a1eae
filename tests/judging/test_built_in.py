from typing import TYPE_CHECKING

import pytest

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


def test_only_create_requests_count(make: "Make") -> None:
    cells = [make.cell([1] * 10), make.cell([1] * 10, "http_500", step="token.app", variant="")]

    (gate,) = judge(make.log(make.interval(2, cells, 10)))

    assert (gate.outcome, gate.value) == ("pass", 0.0)


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
