"""What a soak asks: a short round of it, and whether it would notice."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from bench.soak import JOINED, MOST_KILLS, OURS, count_kills, draw, soak
from bench.soak_judge import MEGA, REPORTS, Seen, judge
from tests.run_logs import Make

from convload.results.runlog import Interval, WorkerLost

RATE, SECONDS = 40, 10
SEED = 13
"""Of the short round: a worker of the run is killed, and the way to one that joined is cut."""
LOST_AFTER_S, UNKNOWN = 5, 30
ENDPOINTS = ("app_token", "consumer_token", "create", "close", "other")


@pytest.fixture
def seen(make: Make) -> Seen:
    """A soak of two workers whose second is lost after 5 s; the first fires on for both from 6.5 s on."""
    fired = RATE * SECONDS - UNKNOWN
    told = [fired // SECONDS * second for second in range(1, SECONDS)] + [fired]
    intervals = [make.interval(n, [make.cell([1000] * 37)], done, offered=done) for n, done in enumerate(told)]
    lost = [make.interval(n, [], 0, worker=1) for n in range(LOST_AFTER_S)]
    end = msgspec.structs.replace(intervals[-1], last=True)
    log = make.log(*intervals[:-1], *lost, WorkerLost(1, 6.3, "", 5.0, UNKNOWN), end, workers=2)
    stats = {name: tally(fired + 5) for name in ENDPOINTS}
    memory = {"coordinator": [(float(at_s), 80 * MEGA) for at_s in range(SECONDS)]}
    return Seen(log, {*REPORTS}, 3, [0, 0], stats, memory, [], "")


def tally(received: int, refused: int = 0) -> dict[str, Any]:
    return {"received": received, "accepted": received - refused, "by_status": {}}


def problems_of(seen: Seen, kills: int = 1) -> list[str]:
    return judge(seen, due=SECONDS * RATE, kills=kills)[1]


def with_log(seen: Seen, change: Callable[[Interval], list[Interval]]) -> Seen:
    records = [made for one in seen.log.records for made in (change(one) if isinstance(one, Interval) else [one])]
    return replace(seen, log=msgspec.structs.replace(seen.log, records=records))


def with_end(seen: Seen, **counts: int) -> Seen:
    return with_log(seen, lambda one: [msgspec.structs.replace(one, **counts) if one.last else one])


def with_creates(seen: Seen, received: int, refused: int = 0) -> Seen:
    return replace(seen, stats=seen.stats | {"create": tally(received, refused)})


def with_memory(seen: Seen) -> Seen:
    return replace(seen, memory={"coordinator": [(0.0, 80 * MEGA), (9.0, 800 * MEGA)]})


@pytest.mark.parametrize("seed", range(10))
def test_the_faults_of_a_seed_are_always_the_same_and_leave_workers(seed: int) -> None:
    faults = draw(seed, 3600, 60)
    killed = {fault.worker for fault in faults if fault.kind == "kill"}

    assert draw(seed, 3600, 60) == faults
    assert [int(fault.at_s // 60) for fault in faults] == list(range(60))
    assert {fault.kind for fault in faults} == {"kill", "stop", "cut", "freeze", "hold", "disk"}
    assert len(killed) == count_kills(faults) == MOST_KILLS
    assert set(OURS) - killed
    assert set(JOINED) - killed


def test_the_counts_of_a_short_soak_reconcile(tmp_path: Path) -> None:
    faults, seen = soak(tmp_path / "round", seed=SEED, seconds=SECONDS, every_s=5, rate=RATE)

    assert {fault.kind for fault in faults} == {"kill", "cut"}
    assert problems_of(seen) == []


def test_a_soak_whose_loss_the_log_names_is_in_order(seen: Seen) -> None:
    assert problems_of(seen) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda seen: with_creates(seen, 401), "fired twice"),
        (lambda seen: with_creates(seen, 369), "lost or fired twice"),
        (lambda seen: with_creates(seen, 375, refused=1), "create: 375 received, 374 accepted"),
        (lambda seen: with_end(seen, offered=380), "30 unknown by the log"),
        (lambda seen: with_end(seen, recorded=369), "369 recorded"),
        (lambda seen: with_end(seen, sent=369, built=369, recorded=369), "worker 0: 370 due, 0 unsent, 369 sent"),
        (lambda seen: with_log(seen, lambda one: [] if one.n == 2 else [one]), "intervals are missing"),
        (lambda seen: with_log(seen, lambda one: [one, one] if one.n == 2 else [one]), "came twice"),
        (with_memory, "memory of coordinator grew from 80.0 to 800.0 MB"),
        (lambda seen: replace(seen, code=1), "exit code 1, expected [3]"),
        (lambda seen: replace(seen, joined_codes=[0, 3]), "ended with [0, 3]"),
        (lambda seen: replace(seen, files={"run.jsonl"}), "no report.html"),
        (lambda seen: replace(seen, left_over=[1]), "processes are left"),
        (lambda seen: replace(seen, words="Traceback (most"), "a traceback was shown"),
    ],
)
def test_a_soak_notices(seen: Seen, change: Callable[[Seen], Seen], problem: str) -> None:
    assert problem in " | ".join(problems_of(change(seen)))


def test_a_soak_notices_a_loss_that_nobody_caused(seen: Seen) -> None:
    assert "0 workers were killed, but 1 lost" in problems_of(seen, kills=0)
