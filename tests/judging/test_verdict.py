from typing import TYPE_CHECKING

import msgspec
import pytest

from convload.comparison.conclusion import SAMPLES_A_KIND, conclude
from convload.errors import ExitCode
from convload.judging.verdict import decide
from convload.results.runlog import ErrorSample, Note

if TYPE_CHECKING:
    from tests.run_logs import Make


def test_a_valid_run_whose_gates_hold_passes(make: "Make") -> None:
    verdict = conclude(make.sound()).verdict

    assert (verdict.outcome, verdict.exit_code, verdict.reasons) == ("pass", ExitCode.PASS, [])
    assert verdict.text == (
        "Pass: the gate errors <= 1% holds; 100 of 100 conversations were created in 1 s (100.0 requests/s)."
    )


def test_a_broken_gate_fails_with_its_message(make: "Make") -> None:
    conclusion = conclude(make.sound(failed=2, ok=98))

    assert (conclusion.verdict.outcome, conclusion.verdict.exit_code) == ("fail", ExitCode.GATE_FAILED)
    assert conclusion.verdict.reasons == [conclusion.gates[0].message]
    assert conclusion.verdict.text.startswith("Fail: 2 of 100 create requests failed")


def test_an_invalid_run_is_inconclusive_even_when_a_gate_fails(make: "Make") -> None:
    conclusion = conclude(make.sound(Note(1.0, "the clock jumped.", invalidates=True), failed=50, ok=50))

    assert conclusion.gates[0].outcome == "fail"
    assert (conclusion.verdict.outcome, conclusion.verdict.exit_code) == (
        "inconclusive",
        ExitCode.INCONCLUSIVE,
    )
    assert conclusion.verdict.reasons == ["the clock jumped."]
    assert conclusion.verdict.text == "Inconclusive: the clock jumped."


def test_silence_never_passes(make: "Make") -> None:
    verdict = conclude(make.sound(ok=0)).verdict

    assert (verdict.outcome, verdict.exit_code) == ("inconclusive", ExitCode.INCONCLUSIVE)


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        (["pass", "pass"], "pass"),
        (["pass", "fail", "inconclusive"], "fail"),
        (["pass", "inconclusive"], "inconclusive"),
        ([], "inconclusive"),
    ],
)
def test_a_failed_gate_outweighs_an_undecided_one_and_no_gate_never_passes(
    make: "Make", outcomes: list[str], expected: str
) -> None:
    conclusion = conclude(make.sound())
    (gate,) = conclusion.gates
    gates = [msgspec.structs.replace(gate, outcome=outcome, message=f"it is {outcome}") for outcome in outcomes]

    verdict = decide(conclusion.summary, gates, conclusion.validity, interrupted=False)

    assert verdict.outcome == expected
    assert all(expected in reason or "no gate" in reason for reason in verdict.reasons)


def test_further_reasons_are_counted_in_the_sentence(make: "Make") -> None:
    log = make.sound(Note(1.0, "one", invalidates=True), Note(1.0, "two", invalidates=True))

    assert conclude(log).verdict.text == "Inconclusive: one (and 1 more reason)."


def test_an_interrupted_run_keeps_its_figures_and_gates(make: "Make") -> None:
    conclusion = conclude(make.sound(Note(3.0, "stopped by a signal", interrupted=True)))

    assert (conclusion.verdict.outcome, conclusion.verdict.exit_code) == ("interrupted", ExitCode.INTERRUPTED)
    assert conclusion.verdict.reasons == ["the run was interrupted"]
    assert conclusion.gates[0].outcome == "pass"
    assert conclusion.summary.steps["conversation.create"].count == 100


def test_samples_are_capped_per_step_and_kind_and_in_order_of_time(make: "Make") -> None:
    many = [ErrorSample(50.0 - i / 10, "conversation.create", "a", "reset", f"number {i}") for i in range(200)]
    one = ErrorSample(1.0, "conversation.create", "a", "dns", "rare")
    log = make.log(make.interval(2, [make.cell([1])], 1, errors=[*many, one], last=True))

    samples = conclude(log).samples

    assert len(samples) == SAMPLES_A_KIND + 1
    assert samples[0] == one
    assert [sample.t_s for sample in samples] == sorted(sample.t_s for sample in samples)


def test_distributions_are_of_successes_and_show_both_clocks_of_an_open_run(make: "Make") -> None:
    closed = conclude(make.sound(failed=1)).distributions
    late = make.cell([1000] * 5, response_us=[9000] * 5, lateness_us=[8000] * 5)
    opened = conclude(make.log(make.interval(2, [late], 5), model="open")).distributions

    assert [(part.step, part.clock, part.ms[-1]) for part in closed] == [("conversation.create", "response", 1.0)]
    assert [(part.clock, part.ms[-1]) for part in opened] == [("response", 9.0), ("service", 1.0)]
