"""A capacity that changes while it is searched: noticed, told as what it was at its worst and best, never as one."""

import math

import msgspec
import numpy as np
import pytest
from bench.simulated import Objective, Server, SimulatedTarget

from convload.capacity.change import change_of, still_true
from convload.capacity.overload import OverloadTrial, falls_short, judge_overload
from convload.capacity.posterior import Tail
from convload.capacity.result import conclude
from convload.capacity.search import Search, search
from convload.capacity.trials import SearchSettings
from convload.errors import ExitCode
from convload.results.capacity_result import Overloaded, Trial

P99 = Objective(p99_ms=160)
SETTINGS = SearchSettings(start_rate=62.5, max_rate=5_000, min_rate=4, budget_s=280, tail=Tail(P99.decay_per_s))


def busy(*rates: float, seconds: int = 10) -> list[Trial]:
    return [
        Trial(rate=1.2 * rate, duration_s=12, outcome="fail", at_s=30.0 * n, overloaded=Overloaded(rate, 1.0, seconds))
        for n, rate in enumerate(rates)
    ]


def searched(server: Server, seed: int) -> Search:
    target = SimulatedTarget(server, P99, seed)
    return search(target, SETTINGS, target.clock)


def test_rates_of_a_busy_target_that_differ_beyond_chance_end_inconclusive() -> None:
    found = searched(Server(capacity_per_s=500, servers=8), 1)
    trials = [*found.trials, *busy(497, 437, 341, 306)]

    result = conclude(msgspec.structs.replace(found, trials=trials), [])

    assert result.exit_code is ExitCode.INCONCLUSIVE
    assert result.change is not None
    assert result.change.kind == "varied"
    assert (result.capacity_per_s.low or 0) <= 306 * 0.95
    assert (result.capacity_per_s.high or 0) >= 497
    assert "(at its worst)" in result.statement
    assert "437, 341 and 306/s" in result.statement


def test_rates_that_only_fall_are_told_as_falling() -> None:
    change = change_of(busy(497, 437, 341, 306))
    assert change is not None
    assert change.kind == "fell"


def test_a_steady_target_is_seldom_said_to_change() -> None:
    random = np.random.default_rng(3)
    counts = random.poisson(400, (600, 5, 10))
    rows = (
        [Overloaded(float(one.mean()), float(one.var(ddof=1) / one.mean()), len(one)) for one in row] for row in counts
    )
    trials = ([Trial(rate=500, duration_s=12, outcome="fail", overloaded=one) for one in row] for row in rows)
    assert sum(change_of(row) is not None for row in trials) <= 0.02 * 600


def test_a_capacity_that_drifts_is_told_between_its_worst_and_its_best() -> None:
    result = conclude(searched(Server(capacity_per_s=500, servers=8, drift=0.25), 7), [])

    assert result.exit_code is ExitCode.INCONCLUSIVE
    assert (result.capacity_per_s.low or 0) <= 1.03 * 0.75 * 500
    assert (result.capacity_per_s.high or 0) >= 500
    assert result.first_broken is not None


def test_a_target_that_scales_up_is_asked_again_and_what_failed_before_is_overruled() -> None:
    server = Server(capacity_per_s=250, servers=8, scales_after_s=30)
    result = conclude(searched(server, 3), ["create.p99 < 160ms"])

    assert result.change is not None
    assert result.change.kind == "rose"
    assert result.exit_code is ExitCode.PASS
    assert 400 < (result.capacity_per_s.low or 0) < (result.capacity_per_s.high or math.inf) < 520
    assert result.first_broken is not None
    assert result.first_broken.rate > 400
    assert any(trial.overruled for trial in result.trials)
    assert any("scaled up" in note for note in result.notes)


def test_loads_that_failed_before_the_capacity_rose_count_no_more_and_passes_do() -> None:
    passed = Trial(rate=200, duration_s=10, outcome="pass", at_s=5)
    trials = [*busy(250, 252), passed, *busy(500, 503, 498)]
    later = [msgspec.structs.replace(trial, at_s=100 + n) for n, trial in enumerate(trials[3:])]

    assert still_true([*trials[:3], *later]) == [passed, *later]


def test_a_failure_below_what_the_target_was_found_to_carry_is_overruled() -> None:
    found = searched(Server(capacity_per_s=500, servers=8), 1)
    cold = Trial(rate=200, duration_s=5, outcome="fail", broke=["create.p99 < 160ms"], at_s=30)

    result = conclude(msgspec.structs.replace(found, trials=[cold, *found.trials]), [])

    assert result.trials[0].overruled
    assert result.first_broken is not None
    assert result.first_broken.rate > 400
    assert any("Overruled by later trials: the objective broke at 200/s at 30 s." in note for note in result.notes)


def at(factor: float, ok: int, count: int) -> OverloadTrial:
    return OverloadTrial(
        factor=factor, offered_per_s=count / 5, count=count, ok=ok, duration_s=5, accepted_p50_ms=2_600
    )


def test_a_target_that_does_not_carry_its_capacity_contradicts_the_search() -> None:
    seen = [at(1.0, 5 * 371, 5 * 480), at(1.2, 5 * 371, 5 * 576)]
    short, told = falls_short(seen), judge_overload(seen, [100.0] * 20, normal_ms=100)
    result = conclude(searched(Server(capacity_per_s=500, servers=8), 1), [], shortfall=short)

    assert told.collapses
    assert "holds" not in told.text
    assert result.exit_code is ExitCode.INCONCLUSIVE
    assert result.capacity_per_s.low == pytest.approx(371)
    assert "offered 480/s after the search, it got only 371/s done with a median of 2,600 ms" in result.statement


def test_chance_at_a_low_rate_contradicts_nothing() -> None:
    assert falls_short([at(1.0, 42, 50)]) is None
    assert falls_short([at(1.0, 2_380, 2_400)]) is None


def test_the_longest_trial_is_stated() -> None:
    found = searched(Server(capacity_per_s=500, servers=8), 1)
    result = conclude(found, [])
    longest = max(trial.duration_s for trial in found.trials)

    assert result.longest_trial_s == longest
    assert any(f"The longest trial took {longest:.0f} s" in note for note in result.notes)
