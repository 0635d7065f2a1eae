"""Builds small run logs out of plain numbers."""

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from convload.plan.schedule import StageMark
from convload.results.histogram import Histogram
from convload.results.runlog import FORMAT, Cell, Ended, Interval, Manifest, Record, RunLog, Started

PLAN: dict[str, Any] = {
    "name": "smoke",
    "target": "mock",
    "account": "12345678",
    "model": "closed",
    "users": 4,
    "workers": 1,
    "duration_s": 10.0,
    "conversations": None,
    "warmup_s": 2.0,
    "seed": 7,
    "mix": "default",
    "consumers": "close",
    # Made logs are short and every second is alike; what tests dependence says so.
    "independent": True,
}


class Make:
    """Makes the parts of a run log; whatever is not named has a harmless value."""

    @staticmethod
    def cell(times_us: list[int], outcome: str = "ok", **named: Any) -> Cell:
        response = named.pop("response_us", None)
        lateness = named.pop("lateness_us", None)
        return Cell(
            step=named.get("step", "conversation.create"),
            variant=named.get("variant", "seed_example"),
            phase=named.get("phase", "measure"),
            outcome=outcome,
            count=len(times_us),
            service=Histogram.of(np.array(times_us)).encode(),
            response=Histogram.of(np.array(response)).encode() if response else "",
            lateness=Histogram.of(np.array(lateness)).encode() if lateness else "",
            stage=named.get("stage", ""),
        )

    @staticmethod
    def interval(n: int, cells: list[Cell], done: int, **named: Any) -> Interval:
        """One second from `n` on; `done` create requests were built, sent and recorded by its end."""
        defaults: dict[str, Any] = {
            "worker": 0,
            "n": n,
            "from_s": float(n),
            "to_s": float(n + 1),
            "cells": cells,
            "users": 4,
            "in_flight": 0,
            "built": done,
            "sent": done,
            "recorded": done,
            "cpu_share": 0.5,
            "memory_bytes": 50_000_000,
        }
        return Interval(**(defaults | named))

    @staticmethod
    def manifest(**plan: Any) -> Manifest:
        return Manifest(
            format=FORMAT,
            started="2026-01-02T03:04:05Z",
            plan=PLAN | plan,
            versions={"convload": "0.1.0"},
            machine={"cores": 2},
            target="http://127.0.0.1:8080",
        )

    def log(
        self,
        *records: Record,
        workers: int = 1,
        damage: tuple[str, ...] = (),
        ended: bool = True,
        **plan: Any,
    ) -> RunLog:
        """A log that started and ended, with these records between."""
        end = [Ended(at_s=20.0)] if ended else []
        return RunLog(
            self.manifest(**({"workers": workers} | plan)), [Started(0.0, workers), *records, *end], list(damage)
        )

    def opened(
        self,
        vary: Callable[[int, int], dict[str, Any]] = lambda *_: {},
        *,
        rate: int = 100,
        workers: int = 1,
        seconds: int = 10,
        stages: list[StageMark] | None = None,
        machine: dict[str, Any] | None = None,
        **plan: Any,
    ) -> RunLog:
        """An open run of `rate` arrivals/s, 2 s of warm-up in it; `vary` changes fields of an interval.

        Beside the fields, `service_us` and `lateness_us` change the times of all its requests, `failed` how many of
        them fail.
        """
        marks = stages or [
            StageMark("warm-up", 0.0, 2.0, rate, rate, True),
            StageMark("hold", 2.0, seconds - 2.0, rate, rate),
        ]
        records = [
            self._arrivals(worker, second, rate // workers, marks, second == seconds - 1, vary(worker, second))
            for second in range(seconds)
            for worker in range(workers)
        ]
        facts: dict[str, Any] = {"model": "open", "arrivals": "even", "users": 50, "duration_s": seconds - 2.0}
        log = self.log(*records, workers=workers, **(facts | plan))
        return msgspec.structs.replace(
            log, manifest=msgspec.structs.replace(log.manifest, stages=marks, machine=machine or {})
        )

    def _arrivals(
        self, worker: int, second: int, count: int, marks: list[StageMark], last: bool, changes: dict[str, Any]
    ) -> Interval:
        mark = next(mark for mark in reversed(marks) if mark.starts_s <= second)
        service_us, lateness_us = changes.pop("service_us", 1000), changes.pop("lateness_us", 50)
        failed = changes.pop("failed", 0)
        named = {"phase": "warmup" if mark.warmup else "measure", "stage": mark.name}
        cells = [
            self.cell(
                [service_us] * many,
                outcome,
                response_us=[service_us + lateness_us] * many,
                lateness_us=[lateness_us] * many,
                **named,
            )
            for outcome, many in (("ok", count - failed), ("http_503", failed))
            if many
        ]
        done = count * (second + 1)
        fields = {"offered": done, "files_free": 900, "last": last, "worker": worker}
        return self.interval(second, cells, done, **(fields | changes))

    def sound(self, *records: Record, failed: int = 0, ok: int = 100) -> RunLog:
        """A valid log of one worker with `ok` and `failed` measured create requests, and more records."""
        cells = [self.cell([1000] * ok)] if ok else []
        cells += [self.cell([2000] * failed, "http_503")] if failed else []
        return self.log(
            self.interval(0, [], 0),
            self.interval(1, [], 0),
            self.interval(2, cells, ok + failed, last=True),
            *records,
        )
