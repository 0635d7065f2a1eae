"""The kind of limit that a search met, by what its failed trials have in common."""

from typing import Any

import pytest
from bench.simulated import Objective, Server, SimulatedTarget

from convload.capacity.change import pause_every_s
from convload.capacity.limit import kind_of_limit
from convload.capacity.objective import overloaded
from convload.capacity.posterior import Tail
from convload.capacity.result import conclude
from convload.capacity.search import search
from convload.capacity.trials import SearchSettings
from convload.results.capacity_result import CapacityResult, Change, Overloaded, Trial

P99 = Objective(p99_ms=160)


def trial(outcome: Any, p50_ms: float, **changes: Any) -> Trial:
    return Trial(**{"rate": 100, "duration_s": 10, "outcome": outcome, "response_p50_ms": p50_ms} | changes)


PASSED = trial("pass", 20, error_share=0.0)
REFUSED = {"error_share": 0.2, "mostly_failed_by": "rate_limited"}
CASES = {
    "queue": [trial("fail", 60, rate=110), trial("fail", 60, rate=115), trial("fail", 900, rate=120, growing=True)],
    "queue that sheds": [trial("fail", 200, error_share=0.2, mostly_failed_by="http_503")],
    "rate limiter": [trial("fail", 21, **REFUSED), trial("fail", 19, **REFUSED)],
    "latency": [trial("fail", 45, error_share=0.0)],
    "errors": [trial("fail", 21, error_share=0.2, mostly_failed_by="http_5xx")],
    "": [],
}


@pytest.mark.parametrize("kind", CASES)
def test_a_limit_is_named_by_what_failed_trials_have_in_common(kind: str) -> None:
    assert kind_of_limit([PASSED, *CASES[kind]], None) == kind


def test_a_limit_that_moved_is_named_so_whatever_it_is() -> None:
    changes = [Change(kind, [1, 2], [0, 1], 0.0) for kind in ("varied", "fell", "rose")]
    kinds = [kind_of_limit([PASSED, *CASES["queue"]], change) for change in changes]
    assert kinds == ["varying", "shrinking", "queue"]


def test_what_a_rate_limiter_lets_through_in_bursts_is_no_limit_that_moves() -> None:
    change = Change("varied", [600, 500], [0, 1], 0.0)
    assert kind_of_limit([PASSED, *CASES["rate limiter"]], change) == "rate limiter"


def found(server: Server, objective: Objective, seed: int) -> CapacityResult:
    target = SimulatedTarget(server, objective, seed)
    settings = SearchSettings(start_rate=62, max_rate=5_000, min_rate=4, budget_s=180, tail=Tail(objective.decay_per_s))
    return conclude(search(target, settings, target.clock), [])


def test_the_burst_of_a_rate_limiter_is_not_taken_for_its_rate() -> None:
    bucket = Server(capacity_per_s=2_000, servers=32, quota_per_s=500, burst_s=2)
    result = found(bucket, Objective(), 2)

    assert result.limit_kind == "rate limiter"
    assert (result.capacity_per_s.low or 0) <= 505 <= (result.capacity_per_s.high or 0)
    assert any("429" in note for note in result.notes)


def test_latency_that_grows_without_a_knee_is_named() -> None:
    assert found(Server(capacity_per_s=500, servers=10, smooth=True), P99, 2).limit_kind == "latency"


def test_seconds_that_a_burst_got_through_are_none_of_what_is_sustained() -> None:
    seen = overloaded([700, 700, 610, 500, 505, 495], 700, allowed_share=0.01, failed_share=0.2, response_s=0.02)

    assert seen is not None
    assert seen.per_s == pytest.approx(500 / 0.99)
    assert seen.seconds == 3


def test_pauses_are_counted_and_tell_how_far_apart_they_are() -> None:
    by_second = [500, 510, 400, 495, 505, 490, 500, 505, 495, 500, 500, 505, 398, 500]
    seen = overloaded([float(one) for one in by_second], 600, 0.0, 0.0, 0.02)

    assert seen is not None
    assert seen.stalls == 2
    paused = Trial(rate=600, duration_s=17, outcome="fail", overloaded=seen)
    assert pause_every_s([paused]) == 7
    assert pause_every_s([Trial(rate=600, duration_s=17, outcome="fail", overloaded=Overloaded(500, 1, 14))]) == 0


def test_final_trials_last_for_several_pauses_of_the_target() -> None:
    paused = Server(capacity_per_s=500, servers=8, pause_every_s=7, pause_s=0.3)
    steady = Server(capacity_per_s=500, servers=8)
    longest = [found(server, Objective(p99_ms=250), 4).longest_trial_s or 0 for server in (paused, steady)]

    assert longest[0] >= 35 > longest[1]
