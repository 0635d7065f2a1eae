from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convload.comparison.conclusion import conclude
from convload.errors import RunLogError
from convload.judging.estimates import Estimate, fixed
from convload.judging.gate_result import GateResult
from convload.judging.gates import compare, judge
from convload.judging.plan_gates import confidence_of, extension_rate, judge_plan, look_times_s
from convload.plan.gate_grammar import parse
from convload.plan.schedule import StageMark
from convload.results.run import Run

if TYPE_CHECKING:
    from tests.run_logs import Make

STAGES = [
    StageMark("warm-up", 0.0, 2.0, 100, 100, warmup=True),
    StageMark("calm", 2.0, 4.0, 100, 100),
    StageMark("a spike/s", 6.0, 4.0, 100, 100),
]


def one(of: Run, text: str, **named: Any) -> GateResult:
    (result,) = judge(of, [parse(text)], **named)
    return result


def timed(make: "Make", times_us: list[int], **plan: Any) -> Run:
    return Run(make.log(make.interval(2, [make.cell(times_us)], len(times_us), last=True), **plan))


def test_a_percentile_passes_by_its_upper_bound_and_fails_by_its_lower_one(make: "Make") -> None:
    held = timed(make, list(range(1, 1001)))

    low, high = 945, 971  # the order statistics of 1,000 samples at 98 % confidence
    assert one(held, f"create.p95 <= {high - 7}us").outcome == "inconclusive"
    result = one(held, "create.p95 < 2ms")
    assert result.outcome == "pass"
    assert result.value == 0.95
    assert low / 1000 - 0.02 < (result.low or 0) < 0.95 < (result.high or 0) < high / 1000 + 0.02
    assert one(held, f"create.p95 <= {1000 * (result.high or 0):.0f}us").outcome == "pass"
    assert one(held, f"create.p95 < {1000 * (result.high or 0):.0f}us").outcome == "inconclusive"
    assert one(held, f"create.p95 < {1000 * (result.low or 0):.0f}us").outcome == "fail"
    assert one(held, f"create.p95 <= {1000 * (result.low or 0):.0f}us").outcome == "inconclusive"
    assert one(held, "create.p95 > 900us").outcome == "pass"
    assert one(held, "create.p95 >= 1ms").outcome == "fail"


def test_fifty_samples_do_not_decide_a_p99_and_the_message_says_how_many_do(make: "Make") -> None:
    result = one(timed(make, [1000] * 50), "create.p99 < 250ms")

    assert (result.outcome, result.samples, result.needed, result.high) == ("inconclusive", 50, 459, None)
    assert "50 samples; a p99 at 99 % confidence needs at least 459" in result.message


def test_few_samples_are_enough_to_fail_surely(make: "Make") -> None:
    assert one(timed(make, [1_000_000] * 50), "create.p99 < 250ms").outcome == "fail"


def test_a_percentile_between_its_bounds_says_about_how_many_samples_decide(make: "Make") -> None:
    result = one(timed(make, list(range(1, 1001))), "create.p95 < 955us")

    assert result.outcome == "inconclusive"
    assert result.needed is not None
    assert result.needed > 1000
    assert f"about {result.needed:,} would decide it" in result.message


@pytest.mark.parametrize(
    "text", ["create.p99 < 9m", "errors < 99%", "errors == 0", "create.max < 9m", "create.p1 > 1us"]
)
def test_without_a_sample_nothing_passes(make: "Make", text: str) -> None:
    result = one(Run(make.sound(ok=0)), text)

    assert (result.outcome, result.value) == ("inconclusive", None)
    assert "nothing was measured" in result.message


def test_a_step_that_never_ran_is_named(make: "Make") -> None:
    result = one(Run(make.sound()), "token.consumer.p95 < 1s")

    assert result.outcome == "inconclusive"
    assert result.message == "token.consumer.p95 < 1s is undecided: nothing was measured of consumer.p95"


def test_times_are_of_what_was_answered_well_and_lateness_of_all(make: "Make") -> None:
    cells = [
        make.cell([1000] * 500, response_us=[1500] * 500, lateness_us=[500] * 500),
        make.cell([9000] * 500, "http_503", response_us=[19000] * 500, lateness_us=[10000] * 500),
    ]
    of = Run(make.log(make.interval(2, cells, 1000, last=True), model="open"))

    assert one(of, "create.p99 < 2ms").value == 1.5
    assert one(of, "create.service.p99 < 2ms").value == 1.0
    assert one(of, "lateness.p99 < 2ms").value == 10.0
    assert one(of, "lateness.p99 < 2ms").samples == 1000


@pytest.mark.parametrize(
    ("failed", "ok", "text", "outcome"),
    [
        (0, 459, "errors < 1%", "pass"),
        (0, 458, "errors < 1%", "inconclusive"),
        (30, 1000, "errors < 1%", "fail"),
        (10, 1000, "errors < 1%", "inconclusive"),
        (3, 1000, "errors[http_503] == 3", "pass"),
        (3, 1000, "errors <= 2", "fail"),
        (3, 1000, "errors[reset] == 0", "pass"),
        (3, 1000, "errors[reset] < 1%", "pass"),
        (300, 700, "errors > 20%", "pass"),
    ],
)
def test_shares_have_exact_bounds_and_counts_have_none(
    make: "Make", failed: int, ok: int, text: str, outcome: str
) -> None:
    assert one(Run(make.sound(failed=failed, ok=ok)), text).outcome == outcome


def test_unsent_arrivals_are_errors_of_create_but_of_no_variant(make: "Make") -> None:
    of = Run(make.opened(lambda _, second: {"unsent": 8} if second == 9 else {}))

    assert one(of, "errors <= 7").value == 8
    assert one(of, "create.errors < 50%").value == pytest.approx(100 * 8 / 808, abs=1e-3)
    assert one(of, "create{variant=seed_example}.errors <= 7").value == 0
    assert one(of, "errors[reset] == 0").value == 0
    assert (one(of, "unsent == 0").outcome, one(of, "unsent <= 8").outcome) == ("fail", "pass")


def test_rates_are_judged_as_they_were(make: "Make") -> None:
    of = Run(make.opened())

    for text, outcome in {
        "rate >= 100/s": "pass",
        "rate > 100/s": "fail",
        "rate >= 6000/min": "pass",
        "offered <= 100/s": "pass",
    }.items():
        result = one(of, text)
        assert (result.outcome, result.exact) == (outcome, True), text
    assert one(of, "rate >= 6000/min").value == 6000


def test_a_gate_in_seconds_is_told_in_seconds(make: "Make") -> None:
    result = one(timed(make, [500_000] * 1000), "create.p99 < 1s")

    assert (result.limit, result.unit) == (1.0, "s")
    assert result.value == pytest.approx(0.5, rel=1e-3)


def test_a_stage_has_its_own_times_errors_rates_and_unsent(make: "Make") -> None:
    def vary(_: int, second: int) -> dict[str, Any]:
        slow = {"service_us": 50_000, "failed": 10} if second >= 6 else {}
        return slow | ({"offered": 1007, "unsent": 7} if second == 9 else {})

    of = Run(make.opened(vary, stages=STAGES))

    assert one(of, "create{stage=calm}.p95 < 20ms").outcome == "pass"
    assert one(of, 'create{stage="a spike/s"}.p95 < 20ms').outcome == "fail"
    assert one(of, "errors{stage=calm} <= 0").outcome == "pass"
    assert one(of, 'errors{stage="a spike/s"} <= 0').value == 47
    assert (one(of, "unsent{stage=calm} == 0").value, one(of, "unsent{stage='a spike/s'} == 0").value) == (0, 7)
    assert one(of, "rate{stage='a spike/s'} >= 100/s").outcome == "pass"
    assert one(of, "rate{stage=nosuch} >= 100/s").outcome == "inconclusive"


def test_evidence_of_one_stage_answers_the_same_gates_without_naming_it(make: "Make") -> None:
    log = make.opened(lambda _, second: {"service_us": 50_000, "failed": 10} if second >= 6 else {}, stages=STAGES)
    whole = Run(log)

    for stage in ("calm", "a spike/s"):
        alone = Run(log, stage)
        for text in ("create{}.p95 < 20ms", "errors{} < 1%", "rate{} >= 100/s", "create{}.p90 < 20ms over every 2s"):
            named = one(whole, text.replace("{}", f"{{stage='{stage}'}}"))
            plain = one(alone, text.replace("{}", ""))
            assert (named.outcome, named.value, named.low, named.high) == (
                plain.outcome,
                plain.value,
                plain.low,
                plain.high,
            ), text


def test_a_log_that_grows_is_judged_by_what_it_holds(make: "Make") -> None:
    log = make.opened(rate=200)
    seen = []
    for until in (4, 6, 13):
        growing = type(log)(log.manifest, log.records[:until], [])
        seen.append(one(Run(growing), "create.p99 < 20ms"))

    assert [result.outcome for result in seen] == ["inconclusive", "pass", "pass"]
    assert [result.samples for result in seen] == [200, 600, 1600]


def test_a_run_that_may_go_on_is_judged_at_set_times_that_share_the_error(make: "Make") -> None:
    plan = Run(make.opened(extend_s=20.0)).plan

    assert look_times_s(plan) == [10.0, 15.0, 20.0, 25.0, 30.0]
    assert confidence_of(plan) == pytest.approx(0.998)
    assert confidence_of(Run(make.opened()).plan) == 0.99
    (result,) = judge_plan(Run(make.opened(extend_s=20.0, gates=["create.p99 < 1s"])))
    assert result.confidence == pytest.approx(0.998)


def test_the_gates_of_the_plan_decide_in_place_of_the_built_in_one(make: "Make") -> None:
    log = make.opened(rate=200, gates=["create.p99 < 0.5ms", "rate >= 200/s"], confidence=0.9)

    conclusion = conclude(log)

    assert [(gate.gate, gate.outcome, gate.builtin) for gate in conclusion.gates] == [
        ("create.p99 < 0.5ms", "fail", False),
        ("rate >= 200/s", "pass", False),
    ]
    assert {gate.confidence for gate in conclusion.gates} == {0.9}
    assert conclusion.verdict.outcome == "fail"
    assert conclusion.verdict.reasons[0].startswith("create.p99 < 0.5ms is broken: p99 1.05 ms of 1,600 requests")


def test_a_log_whose_gates_are_none_says_so(make: "Make") -> None:
    with pytest.raises(RunLogError, match="unknown step 'creat'"):
        conclude(make.opened(gates=["creat.p99 < 1s"]))


figures = st.one_of(st.none(), st.floats(0, 100))


@given(st.sampled_from(["<", "<=", ">", ">="]), st.lists(st.floats(0, 100), min_size=3, max_size=3), st.floats(0, 100))
def test_a_wider_interval_never_decides_what_a_narrower_one_did_not(
    operator: str, bounds: list[float], limit: float
) -> None:
    low, value, high = sorted(bounds)
    held = fixed(limit)

    narrow = compare(operator, Estimate(value, value, value), held)
    wide = compare(operator, Estimate(value, low, high), held)
    unbounded = compare(operator, Estimate(value, None, None), held)
    unsure_limit = compare(operator, Estimate(value, low, high), Estimate(limit, limit - 1, limit + 1))

    assert narrow in {"pass", "fail"}
    assert wide in {narrow, "inconclusive"}
    assert unsure_limit in {wide, "inconclusive"}
    assert unbounded == "inconclusive"


@given(st.integers(0, 60), st.integers(0, 60), st.floats(0.1, 99))
def test_a_looser_limit_never_turns_a_pass_into_less(failed: int, ok: int, limit: float) -> None:
    from tests.run_logs import Make  # noqa: PLC0415 -- fixtures are not reset between examples

    of = Run(Make().sound(failed=failed, ok=ok))
    order = {"fail": 0, "inconclusive": 1, "pass": 2}
    limit = float(f"{limit:.4f}")

    strict, loose = (order[one(of, f"errors <= {bound:.4f}%").outcome] for bound in (limit, limit + 0.5))

    assert strict <= loose


def test_windows_are_asked_one_by_one_and_one_bad_one_breaks_every(make: "Make") -> None:
    of = Run(make.opened(lambda _, second: {"service_us": 90_000} if second in {6, 7} else {}, rate=200))

    broken = one(of, "create.p90 < 20ms over every 2s")
    most = one(of, "create.p90 < 20ms in 75% of windows of 2s")
    coarse = one(of, "create.p50 < 200ms over every 8s")

    assert broken.outcome == "fail"
    assert broken.value == pytest.approx(90, rel=0.01)
    assert "3 of 4 windows of 2 s hold, 1 are broken; at least 4 must hold" in broken.message
    assert most.outcome == "pass"
    assert coarse.outcome == "pass"
    assert one(of, "create.p50 < 200ms over every 9s").message.endswith("no whole window of 9 s was measured")


def test_a_window_without_enough_samples_leaves_the_gate_open(make: "Make") -> None:
    result = one(Run(make.opened()), "create.p99 < 1s over every 4s")

    assert (result.outcome, result.needed) == ("inconclusive", 459)
    assert "the one with the fewest has 400 samples, and up to 459 are needed in each" in result.message


def test_results_that_come_after_the_end_belong_to_the_last_window(make: "Make") -> None:
    log = make.opened(lambda _, second: {"last": False} if second == 9 else {}, rate=200)
    late = make.interval(
        10, [make.cell([5_000_000] * 200, response_us=[5_000_000] * 200, stage="hold")], 2000, offered=2000, last=True
    )
    log.records.insert(len(log.records) - 1, late)

    result = one(Run(log), "create.p90 < 20ms over every 2s")

    assert result.outcome == "fail"
    assert "1 are broken" in result.message


def test_wrong_decisions_on_independent_samples_are_as_rare_as_promised(make: "Make") -> None:
    """The true p95 is the limit, so that every decision is wrong: at most 2 · 5 % of 400 runs decide."""
    random = np.random.default_rng(3)
    decided = 0
    for _ in range(400):
        times = (random.exponential(1.0, 400) / -np.log(0.05) * 100_000).astype(np.int64)
        result = one(timed(make, times.tolist()), "create.p95 < 100ms", confidence=0.95)
        decided += result.outcome != "inconclusive"

    assert 5 < decided <= 400 * 0.1 + 4 * (400 * 0.1 * 0.9) ** 0.5


def test_a_short_extension_has_fewer_parts_none_of_them_too_short_to_be_looked_at(make: "Make") -> None:
    times = {extend_s: look_times_s(Run(make.opened(extend_s=extend_s)).plan) for extend_s in (0.0, 1.0, 5.0, 8.0)}

    assert times[0.0] == [10.0]
    assert times[1.0] == [10.0, 11.0]
    assert times[5.0] == [10.0, 12.5, 15.0]
    assert times[8.0] == [10.0, 12.0, 14.0, 16.0, 18.0]


@pytest.mark.parametrize(
    ("rates", "rate"), [([(5, 5), (0, 0)], 5), ([(5, 5), (10, 20)], 20), ([(5, 5), (30, 0)], 30), ([(0, 0)], 0)]
)
def test_an_extension_has_the_rate_of_the_last_stage_that_is_no_pause(
    rates: list[tuple[float, float]], rate: float
) -> None:
    assert extension_rate([StageMark("", 0.0, 1.0, *one) for one in rates]) == rate
