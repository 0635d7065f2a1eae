"""What a soak asks: a short round of it, and whether it would notice."""

from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest
from bench.soak import JOINED, MOST_KILLS, OURS, Fault, count_kills, draw, soak
from bench.soak_judge import MOST_GROWTH_BYTES, Seen, judge

from convload.results.runlog import Interval

SECONDS, EVERY_S, RATE = 10, 5, 40
SEED = 13
"""A worker of the run is killed, and the way to one that joined is cut."""


@pytest.fixture(scope="module")
def met(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Fault], Seen]:
    return soak(tmp_path_factory.mktemp("soak") / "round", seed=SEED, seconds=SECONDS, every_s=EVERY_S, rate=RATE)


def problems_of(seen: Seen, kills: int = 1) -> list[str]:
    return judge(seen, due=SECONDS * RATE, kills=kills)[1]


def without_an_interval(seen: Seen) -> Seen:
    records = list(seen.log.records)
    del records[next(at for at, one in enumerate(records) if isinstance(one, Interval) and one.n == 2)]
    return replace(seen, log=msgspec.structs.replace(seen.log, records=records))


def with_creates(seen: Seen, **more: int) -> Seen:
    tally = {name: count + more.get(name, 0) for name, count in seen.stats["create"].items() if name != "by_status"}
    return replace(seen, stats=seen.stats | {"create": tally | {"by_status": {}}})


def with_memory(seen: Seen) -> Seen:
    grown = [(at_s, 2 * MOST_GROWTH_BYTES if at_s > 7 else 0) for at_s, _ in seen.memory["coordinator"]]
    return replace(seen, memory=seen.memory | {"coordinator": grown})


@pytest.mark.parametrize("seed", range(20))
def test_the_faults_of_a_seed_are_always_the_same_and_leave_workers(seed: int) -> None:
    faults = draw(seed, 3600, 60)
    killed = {fault.worker for fault in faults if fault.kind == "kill"}

    assert draw(seed, 3600, 60) == faults
    assert len(faults) == 60
    assert [int(fault.at_s // 60) for fault in faults] == list(range(60))
    assert {fault.kind for fault in faults} == {"kill", "stop", "cut", "freeze", "hold", "disk"}
    assert len(killed) == count_kills(faults) == MOST_KILLS
    assert set(OURS) - killed
    assert set(JOINED) - killed


def test_the_counts_of_a_short_soak_reconcile(met: tuple[list[Fault], Seen]) -> None:
    faults, seen = met

    assert [fault.kind for fault in faults] in (["kill", "cut"], ["cut", "kill"])
    assert problems_of(seen) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda seen: with_creates(seen, received=500, accepted=500), "fired twice"),
        (lambda seen: with_creates(seen, received=-100, accepted=-100), "lost or"),
        (lambda seen: with_creates(seen, accepted=-1), "create: "),
        (without_an_interval, "intervals are missing"),
        (with_memory, "memory of coordinator grew"),
        (lambda seen: replace(seen, code=1), "exit code 1"),
        (lambda seen: replace(seen, files={"run.jsonl"}), "no report.html"),
        (lambda seen: replace(seen, left_over=[1]), "processes are left"),
    ],
)
def test_a_soak_notices(met: tuple[list[Fault], Seen], change: Callable[[Seen], Seen], problem: str) -> None:
    assert problem in " | ".join(problems_of(change(met[1])))


def test_a_soak_notices_a_loss_that_nobody_caused(met: tuple[list[Fault], Seen]) -> None:
    assert "0 workers were killed, but 1 lost" in problems_of(met[1], kills=0)
