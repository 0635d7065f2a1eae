"""A deterministic run log of the open model: two stages, two workers, a target that freezes in the middle."""

import heapq
import math
import random
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np

from convload.plan.schedule import StageMark
from convload.results import runlog
from convload.results.histogram import Histogram
from convload.results.runlog import Cell, Ended, Interval, Manifest, MockLedger, Record, Started

STAGES = [
    StageMark("warm-up", 0.0, 4.0, 80.0, 80.0, warmup=True),
    StageMark("hold", 4.0, 10.0, 80.0, 80.0),
    StageMark("surge", 14.0, 10.0, 80.0, 240.0),
]
ENDS_S = 24.0
FREEZE_S = (8.7, 10.3)
WORKERS = 2
USERS = 30
"""Of each worker."""

VARIANTS = ("minimal", "seed_example", "with_sdes")


class Call(msgspec.Struct, frozen=True):
    """One create request."""

    due_s: float
    sent_s: float
    done_s: float
    variant: str
    outcome: str

    @property
    def stage(self) -> StageMark:
        return next(mark for mark in reversed(STAGES) if mark.starts_s <= self.due_s)


class OpenSample:
    """Simulates users that take arrivals, and a target that answers nothing while it is frozen."""

    def __init__(self, users: int = USERS) -> None:
        self._random = random.Random(4)
        self._users = users

    def manifest(self, **plan: Any) -> Manifest:
        return Manifest(
            format=runlog.FORMAT,
            started="2026-01-02T03:04:05Z",
            plan={
                "name": "surge",
                "target": "mock",
                "account": "12345678",
                "model": "open",
                "arrivals": "even",
                "users": WORKERS * self._users,
                "workers": WORKERS,
                "duration_s": 20.0,
                "warmup_s": 4.0,
                "seed": 7,
                "mix": "default",
                "consumers": "none",
            }
            | plan,
            versions={"convload": "0.1.0", "python": "3.12.3", "locust": "2.47.1"},
            machine={"cores": 2, "cpu": "a processor", "kernel": "6.8.0", "timer": "timerfd"},
            target="http://127.0.0.1:8080",
            stages=STAGES,
        )

    def records(self) -> Iterator[Record]:
        calls = [self._calls(worker) for worker in range(WORKERS)]
        count = sum(len(of_worker) for of_worker in calls)
        yield self.manifest()
        yield Started(1_767_323_045.0, WORKERS)
        for second in range(math.ceil(max(call.done_s for of_worker in calls for call in of_worker))):
            for worker, of_worker in enumerate(calls):
                yield self._interval(worker, second, of_worker)
        yield MockLedger(count, count)
        yield Ended(ENDS_S + 1)

    def _calls(self, worker: int) -> list[Call]:
        free_s = [0.0] * self._users
        calls = []
        for due_s in _schedule()[worker::WORKERS]:
            lateness_s = 60e-6 * math.exp(self._random.gauss(0, 0.5))
            sent_s = max(due_s + lateness_s, heapq.heappop(free_s))
            service_s = 0.02 * math.exp(self._random.gauss(0, 0.3)) * (1 + 0.4 * (due_s > 20))
            done_s = sent_s + service_s
            if sent_s < FREEZE_S[1] and done_s > FREEZE_S[0]:
                done_s += FREEZE_S[1] - max(sent_s, FREEZE_S[0])
            heapq.heappush(free_s, done_s)
            outcome = "http_503" if self._random.random() < 0.004 else "ok"
            calls.append(Call(due_s, sent_s, done_s, self._random.choice(VARIANTS), outcome))
        return calls

    def _interval(self, worker: int, second: int, calls: list[Call]) -> Interval:
        ends_s = second + 1.0
        offered, sent, done = (
            sum(getattr(call, instant) < ends_s for call in calls) for instant in ("due_s", "sent_s", "done_s")
        )
        recorded = [call for call in calls if second <= call.done_s < ends_s]
        return Interval(
            worker=worker,
            n=second,
            from_s=float(second),
            to_s=ends_s,
            cells=_cells(recorded),
            users=min(self._users, sent - done + 2),
            in_flight=sent - done,
            built=sent,
            sent=sent,
            recorded=done,
            cpu_share=round(self._random.uniform(0.2, 0.3) * (1 + max(0, second - 14) / 8), 3),
            memory_bytes=80_000_000 + 100_000 * second,
            last=done == len(calls),
            offered=offered,
            backlog=offered - sent,
            hub_delay_ms=round(self._random.uniform(0.5, 4), 2),
            files_free=1000 - (sent - done),
            sockets_waiting=40,
        )


def _schedule() -> list[float]:
    """Returns the due instants of the whole run: where the integral of the rate is a whole number."""
    times, count = [], 0.0
    for mark in STAGES:
        slope = (mark.to_rate - mark.from_rate) / mark.duration_s
        grid = np.linspace(0, mark.duration_s, 200_001)
        reached = count + mark.from_rate * grid + slope * grid**2 / 2
        wanted = np.arange(math.ceil(count), math.ceil(reached[-1] - 1e-6))
        times += (mark.starts_s + np.interp(wanted, reached, grid)).tolist()
        count = float(reached[-1])
    return times


def _cells(calls: list[Call]) -> list[Cell]:
    groups: dict[tuple[str, str, str], list[Call]] = defaultdict(list)
    for call in calls:
        groups[call.variant, call.stage.name, call.outcome].append(call)
    return [
        Cell(
            "conversation.create",
            variant,
            "warmup" if of_group[0].stage.warmup else "measure",
            outcome,
            len(of_group),
            _encoded([call.done_s - call.sent_s for call in of_group]),
            _encoded([call.done_s - call.due_s for call in of_group]),
            _encoded([call.sent_s - call.due_s for call in of_group]),
            stage,
        )
        for (variant, stage, outcome), of_group in sorted(groups.items())
    ]


def _encoded(times_s: list[float]) -> str:
    return Histogram.of(np.rint(np.array(times_s) * 1e6).astype(np.int64)).encode()
