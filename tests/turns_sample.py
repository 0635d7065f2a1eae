"""Run logs of two targets in turns, second by second, out of plain numbers."""

from collections.abc import Callable
from typing import Any

from tests.run_logs import Make

from convload.plan.schedule import StageMark
from convload.results.runlog import RunLog

WARMUP_S = 2
Vary = Callable[[str, int], dict[str, Any]]


def alike(_target: str, second: int) -> dict[str, Any]:
    """A machine that is slower in each other pair of seconds, for both targets."""
    return {"service_us": 10_000 + 300 * (second // 2 % 2)}


def marks_of(groups: int, rate: int) -> list[StageMark]:
    seen = {"A": 0, "B": 0}
    marks = [StageMark("warm-up A", 0.0, WARMUP_S, rate, rate, warmup=True, target="A")]
    for at, target in enumerate("ABBA" * groups):
        seen[target] += 1
        marks.append(StageMark(f"{target} {seen[target]}", WARMUP_S + at, 1.0, rate, rate, target=target))
    return marks


def log_of(vary: Vary = alike, *, groups: int = 5, rate: int = 100, **plan: Any) -> RunLog:
    """An open run of windows of 1 s; `vary` changes what an interval says by its target and second."""
    marks = marks_of(groups, rate)
    target_of = {int(mark.starts_s): mark.target for mark in marks}

    def by_target(_worker: int, second: int) -> dict[str, Any]:
        return vary(target_of.get(second, "A"), second)

    return Make().opened(
        by_target, rate=rate, seconds=WARMUP_S + 4 * groups, stages=marks, target_b="http://127.0.0.1:9", **plan
    )


def slower_by(factor: float) -> Vary:
    def vary(target: str, second: int) -> dict[str, Any]:
        service_us = alike(target, second)["service_us"]
        return {"service_us": round(service_us * (factor if target == "B" else 1))}

    return vary


def failing(target: str, failed: int) -> Vary:
    return lambda own, second: alike(own, second) | {"failed": failed if own == target else 0}
