"""The search against targets whose limit is known."""

import math
from typing import Any

import msgspec
import pytest
from bench.simulated import Objective, Server, SimulatedTarget, true_loss_rate, true_p99_rate
from hypothesis import given, settings
from hypothesis import strategies as st

from convload.capacity.posterior import Tail
from convload.capacity.result import conclude
from convload.capacity.search import Search, relative_width, search
from convload.capacity.trials import SearchSettings
from convload.errors import ExitCode, UsageError
from convload.results.capacity_result import GROWING, CapacityResult, Trial


class StepTarget:
    """Passes up to its limit and fails beyond, without any noise; its time is its own."""

    def __init__(self, limit: float, generator: float = math.inf) -> None:
        self.limit, self.generator = limit, generator
        self.now_s = 0.0
        self.rates: list[float] = []

    def clock(self) -> float:
        return self.now_s

    def cool_down(self, at_most_s: float) -> bool:
        self.now_s += min(1.0, at_most_s)
        return True

    def trial(self, rate: float, duration_s: float) -> Trial:
        began_s, self.now_s = self.now_s, self.now_s + duration_s
        self.rates.append(rate)
        if rate > self.generator:
            return Trial(rate=rate, duration_s=duration_s, outcome="generator", achieved_per_s=self.generator)
        held = rate <= self.limit
        return Trial(
            rate=rate,
            duration_s=duration_s,
            outcome="pass" if held else "fail",
            broke=[] if held else ["create.p99 < 250ms"],
            goodput_per_s=min(rate, self.limit),
            at_s=began_s,
        )


def settings_for(**changes: Any) -> SearchSettings:
    return SearchSettings(**({"start_rate": 10, "max_rate": 10_000, "min_rate": 1, "budget_s": 180} | changes))


def searched(target: StepTarget | SimulatedTarget, **changes: Any) -> tuple[Search, CapacityResult]:
    found = search(target, settings_for(**changes), target.clock)
    return found, conclude(found, ["create.p99 < 250ms"])


@settings(max_examples=8, deadline=None)
@given(limit=st.floats(3, 8_000))
def test_the_interval_holds_a_step_and_the_search_keeps_its_bounds_and_its_budget(limit: float) -> None:
    target = StepTarget(limit)

    found, result = searched(target)

    bounds = result.capacity_per_s
    assert bounds.low is not None
    assert bounds.high is not None
    assert bounds.low <= limit * 1.005
    assert bounds.high >= limit * 0.995
    assert found.took_s <= 180
    assert max(target.rates) <= 10_000
    assert min(target.rates) >= 1
    assert result.exit_code is ExitCode.PASS


def test_a_step_of_a_fast_target_is_found_within_a_few_percent() -> None:
    widths = [searched(StepTarget(2_000), budget_s=budget_s)[1].width for budget_s in (60, 180, 600)]

    known = [width for width in widths if width is not None]
    assert len(known) == 3
    assert sorted(known, reverse=True) == known
    assert known[1] <= 0.05


def test_a_search_doubles_from_its_start_until_it_breaks() -> None:
    target = StepTarget(100)

    searched(target)

    assert target.rates[:5] == [10, 20, 40, 80, 160]


def test_a_first_trial_that_fails_sends_the_search_down() -> None:
    _, result = searched(StepTarget(10), start_rate=100)

    low, high = result.capacity_per_s.low, result.capacity_per_s.high
    assert low is not None
    assert high is not None
    assert low <= 10 <= high


def test_an_objective_that_no_rate_meets_is_told() -> None:
    _, result = searched(StepTarget(0.1))

    assert result.statement == "No rate from 1/s up meets the objective: create.p99 < 250ms broke first, at 1/s."
    assert result.exit_code is ExitCode.GATE_FAILED
    assert result.capacity_per_s.low is None


def test_an_objective_that_never_fails_is_told_with_the_highest_rate() -> None:
    target = StepTarget(math.inf)

    _, result = searched(target, max_rate=5_000)

    assert "never failed up to the highest rate asked for, 5,000/s" in result.statement
    assert result.limited_by == "bound"
    assert result.capacity_per_s.high is None
    assert max(target.rates) == 5_000


def test_the_limit_of_the_generator_is_not_taken_for_that_of_the_target() -> None:
    _, result = searched(StepTarget(math.inf, generator=1_000))

    assert result.limited_by == "generator"
    assert result.capacity_per_s.high is None
    assert (result.capacity_per_s.low or 0) > 900
    assert "at least" in result.statement
    assert "generator-bound" in result.statement
    assert result.exit_code is ExitCode.INCONCLUSIVE


class HiccupAt(StepTarget):
    """Its generator falls short once, at its third trial, for a reason of its own."""

    def trial(self, rate: float, duration_s: float) -> Trial:
        made = super().trial(rate, duration_s)
        if len(self.rates) != 3:
            return made
        return Trial(rate=rate, duration_s=duration_s, outcome="generator", achieved_per_s=0.9 * rate, at_s=made.at_s)


def test_a_generator_that_falls_short_once_bounds_nothing() -> None:
    target = HiccupAt(900)

    found, result = searched(target)

    assert target.rates[:5] == [10, 20, 40, 40, 80]
    assert found.generator_limit is None
    assert (result.capacity_per_s.low or 0) <= 904
    assert (result.capacity_per_s.high or 0) >= 896


def test_a_target_below_the_limit_of_the_generator_is_found_all_the_same() -> None:
    _, result = searched(StepTarget(900, generator=1_000))

    low, high = result.capacity_per_s.low, result.capacity_per_s.high
    assert low is not None
    assert high is not None
    assert low <= 904
    assert high >= 896


def test_a_capacity_just_below_the_highest_rate_is_found_without_going_beyond() -> None:
    target = SimulatedTarget(Server(capacity_per_s=500, servers=8, service_cv=0), Objective(), 1)

    found, result = searched(target, max_rate=540)

    bounds = result.capacity_per_s
    assert target.highest <= 540
    assert len({round(trial.rate) for trial in found.trials[-6:]}) > 1
    assert bounds.low is not None
    assert bounds.high is not None
    assert bounds.low <= 500 <= bounds.high
    assert relative_width(bounds.low, bounds.high) < 0.2


def test_a_sharp_knee_is_found_within_five_percent_in_three_minutes() -> None:
    for capacity, servers in ((50, 4), (500, 8)):
        target = SimulatedTarget(
            Server(capacity_per_s=capacity, servers=servers, service_cv=0), Objective(), 1, arrivals="even"
        )

        _, result = searched(target, start_rate=7, tail=Tail(arrivals_dispersion=0.0))

        low, high = result.capacity_per_s.low or 0.0, result.capacity_per_s.high or math.inf
        assert low <= capacity <= high
        assert relative_width(low, high) <= 0.05
        assert result.sustained_per_s == pytest.approx(capacity, rel=0.02)


def test_a_target_that_collapses_under_overload_is_not_taken_for_a_small_one() -> None:
    class Collapsing(SimulatedTarget):
        def trial(self, rate: float, duration_s: float) -> Trial:
            trial = super().trial(rate, duration_s)
            if trial.overloaded is None:
                return trial
            less = msgspec.structs.replace(trial.overloaded, per_s=0.5 * trial.overloaded.per_s)
            return msgspec.structs.replace(trial, overloaded=less)

    _, result = searched(Collapsing(Server(capacity_per_s=500, servers=8, service_cv=0), Objective(), 1))

    assert (result.capacity_per_s.low or 0.0) <= 500 <= (result.capacity_per_s.high or math.inf)
    assert (result.width or 1) < 0.4


def test_a_target_that_stays_broken_is_left_alone() -> None:
    server = Server(capacity_per_s=1_000, breaks_at_backlog=1_000)
    target = SimulatedTarget(server, Objective(p99_ms=500), 0)

    found, result = searched(target, cool_down_s=10, start_rate=100)

    assert found.end == "broken"
    assert found.trials[-1].verdict == "fail"
    assert "did not get back to normal within 10 s" in result.statement
    assert "do no further harm" in result.statement
    assert len(result.trials) > 1
    assert not result.recovered
    assert result.exit_code is ExitCode.GATE_FAILED


def test_a_growing_backlog_fails_a_trial_whose_gates_hold() -> None:
    trial = Trial(rate=10, duration_s=5, outcome="pass", growing=True)

    assert trial.verdict == "fail"
    assert trial.broken == [GROWING]


def test_a_budget_too_short_for_one_trial_is_refused() -> None:
    with pytest.raises(UsageError, match="too short for a single trial of 5 s"):
        searched(StepTarget(100), budget_s=3, first_trial_s=5)


def test_a_budget_that_ends_early_keeps_what_was_measured() -> None:
    _, result = searched(StepTarget(5_000), budget_s=7)

    assert result.trials
    assert result.limited_by == "budget"
    assert result.exit_code is ExitCode.INCONCLUSIVE
    assert "at least" in result.statement


class UndecidedAtFirst(StepTarget):
    """Cannot say anything of its first two trials."""

    def trial(self, rate: float, duration_s: float) -> Trial:
        decided = super().trial(rate, duration_s)
        return decided if len(self.rates) > 2 else Trial(rate=rate, duration_s=duration_s, outcome="undecided")


def test_undecided_loads_are_repeated_for_longer_before_the_search_goes_on() -> None:
    target = UndecidedAtFirst(100)

    searched(target)

    assert target.rates[:4] == [10, 10, 10, 20]


def test_a_pass_far_above_a_load_that_failed_twice_supports_no_verdict() -> None:
    found, result = searched(StepTarget(100))
    above = Trial(rate=1_000, duration_s=10, outcome="pass")

    contradicted = conclude(found, [], beyond=[above])

    assert result.monotonic
    assert not contradicted.monotonic
    assert contradicted.exit_code is ExitCode.INCONCLUSIVE
    assert "not monotonic" in contradicted.notes[0]
    assert contradicted.capacity_per_s == result.capacity_per_s


CASES = {
    "p99": (Server(capacity_per_s=500, servers=8), Objective(p99_ms=160), true_p99_rate(500, 8, 160)),
    "shed": (Server(capacity_per_s=500, servers=8, queue=40), Objective(), true_loss_rate(500, 8, 40, 0.01)),
}


@pytest.mark.parametrize("name", CASES)
def test_the_interval_covers_the_truth_of_a_queue_and_repeats_agree(name: str) -> None:
    server, objective, truth = CASES[name]
    tail = Tail(objective.decay_per_s)
    results = [searched(SimulatedTarget(server, objective, seed), tail=tail)[1] for seed in range(8)]

    intervals = [(r.capacity_per_s.low or 0.0, r.capacity_per_s.high or math.inf) for r in results]
    assert sum(low <= truth <= high for low, high in intervals) >= 6
    assert all(relative_width(low, high) < 0.2 for low, high in intervals)
