"""Each rule at both sides of its limit."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from convload.judging.validity import Validity, examine
from convload.plan.facts import ValidityLimits
from convload.results.run import Run
from convload.results.runlog import Note, RunLog

if TYPE_CHECKING:
    from tests.run_logs import Make

Vary = Callable[[int, int], dict[str, Any]]


def examined(log: RunLog) -> Validity:
    return examine(Run(log))


def named(log: RunLog) -> list[str]:
    return [reason.name for reason in examined(log).named]


def texts(log: RunLog) -> list[str]:
    return examined(log).reasons


def test_an_even_open_run_is_valid(make: "Make") -> None:
    assert examined(make.opened(workers=2)).named == []


@pytest.mark.parametrize(
    ("cpu_share", "hot", "expected"),
    [(0.95, 3, ["generator_saturated"]), (0.949, 8, []), (1.0, 2, [])],
)
def test_a_worker_at_its_limit_saturates_the_generator(
    make: "Make", cpu_share: float, hot: int, expected: list[str]
) -> None:
    vary: Vary = lambda worker, second: {"cpu_share": cpu_share} if worker == 1 and 2 <= second < 2 + hot else {}  # noqa: E731 -- a one-line choice

    assert named(make.opened(vary, workers=2)) == expected


@pytest.mark.parametrize(("hot", "expected"), [(4, []), (5, ["generator_saturated"])])
def test_more_than_a_fifth_of_the_seconds_must_be_hot(make: "Make", hot: int, expected: list[str]) -> None:
    log = make.opened(lambda _, second: {"cpu_share": 0.97} if 2 <= second < 2 + hot else {}, seconds=22)

    assert named(log) == expected


def test_the_warm_up_may_be_hot(make: "Make") -> None:
    log = make.opened(lambda _, second: {"cpu_share": 1.0} if second < 2 else {}, validity={"cpu_seconds": 1})

    assert named(log) == []


def test_saturation_is_told_with_its_figures(make: "Make") -> None:
    hot = make.opened(lambda worker, second: {"cpu_share": 0.97} if worker and second >= 6 else {}, workers=2)
    closed = [
        make.interval(n, [make.cell([5] * 9)], 9 * (n + 1), cpu_share=1.0, last=n == 9, from_s=n * 1.0)
        for n in range(10)
    ]

    assert texts(hot) == ["worker 1 was at 97 % CPU for 4 of 8 s; lateness p99 0.05 ms"]
    assert texts(make.log(*closed)) == [
        "worker 0 was at 100 % CPU for 8 of 8 s; the generator was the limit, not the target"
    ]


@pytest.mark.parametrize(("lateness_us", "expected"), [(10_000, []), (10_020, ["late"])])
def test_a_late_start_is_a_reason_beyond_its_limit(make: "Make", lateness_us: int, expected: list[str]) -> None:
    assert named(make.opened(lambda *_: {"lateness_us": lateness_us})) == expected


def test_lateness_counts_at_its_p99(make: "Make") -> None:
    one_in_a_hundred = make.opened(
        lambda _, second: {"lateness_us": 31_000} if second == 9 else {}, rate=10, seconds=110
    )
    more = make.opened(lambda _, second: {"lateness_us": 31_000} if second >= 108 else {}, rate=10, seconds=110)

    assert named(one_in_a_hundred) == []
    assert texts(more) == ["requests started late: lateness p99 31 ms, the limit is 10 ms"]


@pytest.mark.parametrize(("short", "expected"), [(10, []), (11, ["rate_missed"])])
def test_a_rate_that_is_missed_by_more_than_one_percent_is_a_reason(
    make: "Make", short: int, expected: list[str]
) -> None:
    # 800 are offered: 8 are one percent, and one may lie on either side of each edge of the window.
    log = make.opened(lambda _, second: {"sent": 1000 - short, "built": 1000 - short} if second == 9 else {})

    assert [name for name in named(log) if name != "counts_differ"] == expected


def test_a_missed_rate_is_told_with_the_arrivals_that_waited(make: "Make") -> None:
    log = make.opened(lambda _, second: {"sent": 600, "backlog": 400} if second == 9 else {"sent": 60 * (second + 1)})

    assert (
        "60.0 create requests/s were sent where 100.0/s were offered: 40 % less, 1 % is allowed; "
        "arrivals that waited for a free user at once: up to 400"
    ) in texts(log)


@pytest.mark.parametrize(
    ("arrivals", "rate", "expected"),
    [
        ("even", 99, []),
        ("even", 98, ["rate_missed"]),
        ("poisson", 80, ["rate_missed"]),
        ("poisson", 82, []),
        ("replay", 50, []),
    ],
)
def test_a_schedule_that_did_not_run_as_planned_is_a_reason(
    make: "Make", arrivals: str, rate: int, expected: list[str]
) -> None:
    planned = make.opened().manifest.stages

    assert named(make.opened(rate=rate, stages=planned, arrivals=arrivals)) == expected


def test_an_interrupted_schedule_is_no_missed_one(make: "Make") -> None:
    log = make.opened(lambda _, second: {"offered": 600} if second >= 6 else {})
    parts = [record for record in log.records if getattr(record, "n", 0) < 6]
    cut = RunLog(log.manifest, [*parts, Note(6.0, "interrupted", interrupted=True)], [])

    assert "rate_missed" not in named(cut)


@pytest.mark.parametrize(("unsent", "expected"), [(0, []), (1, ["unsent"])])
def test_any_unsent_arrival_is_a_reason(make: "Make", unsent: int, expected: list[str]) -> None:
    log = make.opened(lambda _, second: {"unsent": unsent, "offered": 1000 + unsent} if second == 9 else {})

    assert named(log) == expected


def test_unsent_arrivals_are_told_with_their_counts(make: "Make") -> None:
    log = make.opened(lambda _, second: {"unsent": 2, "offered": 1002} if second == 9 else {})

    assert texts(log) == ["2 of 1,002 arrivals were due and never sent"]


@pytest.mark.parametrize(("delay_ms", "times", "expected"), [(101.0, 3, ["hub_delay"]), (101.0, 2, []), (100.0, 8, [])])
def test_a_stalled_event_loop_is_a_reason(make: "Make", delay_ms: float, times: int, expected: list[str]) -> None:
    log = make.opened(lambda _, second: {"hub_delay_ms": delay_ms} if second >= 10 - times else {})

    assert named(log) == expected


@pytest.mark.parametrize(("files_free", "expected"), [(15, ["files_exhausted"]), (16, [])])
def test_too_few_free_files_are_a_reason(make: "Make", files_free: int, expected: list[str]) -> None:
    assert named(make.opened(lambda _, second: {"files_free": files_free} if second == 5 else {})) == expected


def test_files_that_were_not_watched_are_no_reason(make: "Make") -> None:
    assert named(make.opened(lambda *_: {"files_free": 0})) == []


@pytest.mark.parametrize(
    ("waiting", "machine", "expected"),
    [
        (25_200, {}, []),
        (25_201, {}, ["ports_exhausted"]),
        (901, {"ephemeral_ports": 1000}, ["ports_exhausted"]),
        (900, {"ephemeral_ports": 1000}, []),
    ],
)
def test_too_few_local_ports_are_a_reason(
    make: "Make", waiting: int, machine: dict[str, Any], expected: list[str]
) -> None:
    assert named(make.opened(lambda *_: {"sockets_waiting": waiting}, machine=machine)) == expected


def test_each_source_address_has_ports_of_its_own(make: "Make") -> None:
    plan: Any = {"source_addresses": ["10.0.0.7", "10.0.0.8"]}

    assert named(make.opened(lambda *_: {"sockets_waiting": 2 * 25_200}, **plan)) == []
    assert named(make.opened(lambda *_: {"sockets_waiting": 2 * 25_200 + 1}, **plan)) == ["ports_exhausted"]


@pytest.mark.parametrize(("samples", "expected"), [(800, []), (801, ["too_few_samples"])])
def test_fewer_samples_than_asked_for_are_a_reason(make: "Make", samples: int, expected: list[str]) -> None:
    assert named(make.opened(validity={"samples": samples})) == expected


@pytest.mark.parametrize(
    ("offered", "failed_tokens", "expected"),
    [(1000, 0, []), (1003, 3, []), (1003, 2, ["counts_differ"]), (1001, 0, ["counts_differ"])],
)
def test_an_arrival_that_came_to_no_request_must_be_explained_by_a_failed_token(
    make: "Make", offered: int, failed_tokens: int, expected: list[str]
) -> None:
    log = make.opened(lambda _, second: {"offered": offered} if second == 9 else {})
    tokens = make.cell([9] * failed_tokens, "http_503", step="token.consumer", variant="", phase="warmup")
    first = log.records[1]
    if failed_tokens:
        getattr(first, "cells").append(tokens)  # noqa: B009 -- the type is a union

    assert named(log) == expected


def test_a_waived_reason_is_told_and_does_not_invalidate(make: "Make") -> None:
    def vary(_: int, second: int) -> dict[str, Any]:
        return {"lateness_us": 50_000} | ({"unsent": 1, "offered": 1001} if second == 9 else {})

    found = examined(make.opened(vary, validity={"waive": ["unsent", "late"]}))
    half = examined(make.opened(vary, validity={"waive": ["unsent"]}))

    assert (found.valid, found.reasons) == (True, [])
    assert [(reason.name, reason.waived) for reason in found.named] == [("late", True), ("unsent", True)]
    assert [reason.name for reason in found.waived] == ["late", "unsent"]
    assert (half.valid, len(half.reasons), len(half.named)) == (False, 1, 2)


def test_limits_come_from_the_plan(make: "Make") -> None:
    late: Vary = lambda *_: {"lateness_us": 50_000}  # noqa: E731 -- used twice

    assert named(make.opened(late, validity={"lateness_p99_ms": 60.0})) == []
    assert ValidityLimits().lateness_p99_ms == 10.0


def test_a_worker_that_a_cpu_quota_holds_back_is_a_saturated_generator(make: "Make") -> None:
    """Though it has time to spare in the mean: a burst that used up its period waits for the next one."""
    run = Run(make.opened(lambda *_: {"cpu_share": 0.3, "throttled_share": 0.2}))
    spared = Run(make.opened(lambda *_: {"cpu_share": 0.3, "throttled_share": 0.005}))

    found = {reason.name: reason.text for reason in examine(run).named}
    assert "held back by the CPU quota of its cgroup for 20 % of it" in found["generator_saturated"]
    assert "generator_saturated" not in {reason.name for reason in examine(spared).named}
