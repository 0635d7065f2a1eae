"""What dependent requests are worth: against theory, and by how often gates of simulated queues are wrong."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from bench import coverage
from bench.queues import Case, erlang_ms, exponential, simulate
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from convload.judging.dependence import (
    INDEPENDENT,
    Dependence,
    dependence_of,
    design_effect,
    effects_of,
)
from convload.judging.estimates import percentile_ranks, share_bounds
from convload.judging.gate_result import GateResult
from convload.judging.gates import judge
from convload.plan.gate import Subject
from convload.plan.gate_grammar import parse
from convload.plan.schedule import StageMark
from convload.results.run import Run

if TYPE_CHECKING:
    from tests.run_logs import Make

ERRORS = Subject("errors")


def counted(hits: list[int], count: int = 100) -> float:
    return design_effect(np.full((1, len(hits)), float(count)), np.array([hits], float))


def run_with(make: "Make", failed: Any, seconds: int = 62, **plan: Any) -> Run:
    facts: dict[str, Any] = {"independent": False} | plan
    return Run(make.opened(lambda _, second: {"failed": failed(second)}, seconds=seconds, **facts))


def one(of: Run, text: str) -> GateResult:
    (result,) = judge(of, [parse(text)])
    return result


def test_independent_requests_are_worth_about_what_they_are() -> None:
    chance = np.random.default_rng(1)

    effects = [counted(list(chance.binomial(1000, 0.05, 20)), 1000) for _ in range(300)]

    assert np.mean(effects) == pytest.approx(1.0, abs=0.1)


def test_the_design_effect_is_that_of_clusters_of_equal_requests() -> None:
    """Where each request stands for m equal ones, the variance of a share is m times as large (Kish 1965)."""
    chance = np.random.default_rng(2)

    effects = [counted(list(5 * chance.binomial(200, 0.1, 20)), 1000) for _ in range(300)]

    assert np.mean(effects) == pytest.approx(5.0, rel=0.1)


def test_pieces_say_what_batches_lack_that_are_too_short_for_their_requests() -> None:
    """Shares of pieces that are AR(1): their sum varies by (1 + φ) / (1 - φ) times as much as of independent ones."""
    chance = np.random.default_rng(3)

    def effects(phi: float, pieces: int) -> float:
        found = []
        for _ in range(300):
            level, hits = chance.standard_normal(), []
            for _ in range(60):
                hits.append(500 + 20 * level)
                level = phi * level + np.sqrt(1 - phi**2) * chance.standard_normal()
            of_pieces = np.array([hits]), np.full((1, 60), 1000.0)
            counts, added = of_pieces[1], of_pieces[0]
            if pieces == 1:
                counts, added = (one.reshape(1, 20, 3).sum(axis=2) for one in (counts, added))
            found.append(design_effect(counts, added, pieces))
        return float(np.mean(found))

    single = 20**2 / (1000 * 0.5 * 0.5)
    assert effects(0.5, 1) < 0.7 * 3 * single
    assert effects(0.5, 3) > 0.85 * 3 * single
    assert single < effects(0.0, 3) < 1.4 * single


@pytest.mark.parametrize("share", [0, 100])
def test_none_and_all_show_no_dependence(share: int) -> None:
    assert counted([share] * 10) == 1.0


def test_stages_that_differ_by_plan_are_no_dependence() -> None:
    counts = np.array([[100.0] * 5 + [0.0] * 5, [0.0] * 5 + [100.0] * 5])
    hits = np.array([[2.0, 3, 2, 3, 2] + [0.0] * 5, [0.0] * 5 + [52.0, 53, 52, 53, 52]])

    assert design_effect(counts, hits) < 1
    assert design_effect(counts.sum(axis=0)[None, :], hits.sum(axis=0)[None, :]) > 20


@given(st.integers(1, 400), st.sampled_from([50.0, 90.0, 99.0]), st.sampled_from([0.9, 0.99, 0.999]))
def test_independent_samples_have_the_ranks_of_order_statistics(count: int, percent: float, confidence: float) -> None:
    """Against SciPy's binomial distribution: David and Nagaraja, §7.1."""
    low, high = percentile_ranks(count, percent, confidence)
    ranks, below = np.arange(1, count + 1), percent / 100

    highs = ranks[stats.binom.cdf(ranks - 1, count, below) >= confidence]
    lows = ranks[stats.binom.sf(ranks - 1, count, below) >= confidence]

    assert high == (highs[0] if len(highs) else None)
    assert low == (lows[-1] if len(lows) else None)


@given(st.integers(20, 2000), st.floats(1, 50))
def test_what_is_worth_less_has_wider_bounds(count: int, effect: float) -> None:
    low, high = percentile_ranks(count, 90, 0.99)
    wider_low, wider_high = percentile_ranks(count, 90, 0.99, count / effect)

    assert (wider_low or 0) <= (low or 0)
    assert (wider_high or count + 1) >= (high or count + 1)


def test_fewer_batches_make_less_sure() -> None:
    assert INDEPENDENT.worth(1000, 0.99) == 1000
    few, many = (Dependence(4.0, batches, 60.0).worth(1000, 0.99) for batches in (10, 1000))
    assert few < many < 250
    assert many == pytest.approx(250, rel=0.01)


def test_errors_in_one_second_are_one_event_and_spread_over_the_run_many(make: "Make") -> None:
    burst = dependence_of(run_with(make, lambda second: 60 if second == 30 else 0), ERRORS, None)
    spread = dependence_of(run_with(make, lambda second: int(second > 1)), ERRORS, None)

    assert burst.effect > 30
    assert spread.effect == 1.0


def test_a_burst_leaves_open_what_as_many_spread_errors_decide(make: "Make") -> None:
    burst = one(run_with(make, lambda second: 60 if second == 30 else 0), "errors < 3%")
    spread = one(run_with(make, lambda second: int(second > 1)), "errors < 3%")

    assert (burst.outcome, spread.outcome) == ("inconclusive", "pass")
    assert (burst.worth or 0) < 100 < (spread.worth or 0)
    assert (burst.longer_s or 0) > 0
    assert "independent requests" in burst.message
    assert "more" in burst.message


def test_what_several_gates_ask_of_a_run_is_cut_once(make: "Make") -> None:
    of = run_with(make, lambda _: 0)
    asked = ("conversation.create", "", "", "response")

    assert of.batches().times(*asked) is of.batches().times(*asked)


def test_a_plan_that_says_so_has_independent_requests(make: "Make") -> None:
    of = run_with(make, lambda second: 60 if second == 30 else 0, independent=True)

    assert dependence_of(of, ERRORS, None) == INDEPENDENT
    assert one(of, "errors < 3%").worth == one(of, "errors < 3%").samples


def test_a_short_run_says_that_it_cannot_know(make: "Make") -> None:
    result = one(run_with(make, lambda _: 0, seconds=12), "errors < 3%")

    assert result.outcome == "inconclusive"
    assert "too short to know" in result.message
    assert result.longer_s == 10.0


def test_what_is_plain_at_any_dependence_is_decided_in_a_short_run(make: "Make") -> None:
    assert one(run_with(make, lambda _: 90, seconds=12), "errors < 3%").outcome == "fail"


def test_what_was_never_sent_is_one_event_at_the_end(make: "Make") -> None:
    log = make.opened(lambda _, second: {"unsent": 60} if second == 61 else {}, seconds=62, independent=False)

    assert dependence_of(Run(log), ERRORS, None).effect > 30


def test_a_stage_is_a_stratum_where_it_is_long_enough(make: "Make") -> None:
    stages = [
        StageMark("warm-up", 0.0, 2.0, 100, 100, warmup=True),
        StageMark("calm", 2.0, 30.0, 100, 100),
        StageMark("rough", 32.0, 30.0, 100, 100),
    ]
    log = make.opened(
        lambda _, second: {"failed": 40 if second >= 32 else 0}, seconds=62, stages=stages, independent=False
    )

    assert dependence_of(Run(log), ERRORS, None).effect == 1.0


def test_a_baseline_keeps_how_far_its_requests_depend_on_each_other(make: "Make") -> None:
    effects = effects_of(run_with(make, lambda second: 60 if second == 30 else 0))["conversation.create"]

    assert effects["errors"] > 30
    assert effects["batches"] == 10
    assert effects.keys() >= {"response p50", "response p99", "service p99"}


def test_gates_of_a_busy_queue_are_wrong_as_rarely_as_they_say() -> None:
    """An M/M/1 queue, 80 % busy: with bounds for independent requests half of the runs are decided, and wrongly."""
    runs = simulate(Case("M/M/1", 1, 0.8, exponential), 60, 60.0, seed=3)
    truths, tally = {99.0: erlang_ms(1, 0.8, 99)}, coverage.Tally()

    for due_s, response_ms in zip(runs.due_s, runs.response_ms, strict=True):
        coverage.judge(due_s, response_ms, 60, truths, {99.0: tally})

    assert tally.passed_wrongly + tally.failed_wrongly <= 3
    low, high = share_bounds(300, 30_000, 0.99)
    assert high - low < 0.003  # what independent requests would be taken to say
