"""A run whose length and stages are decided while it goes on, in real processes against the mock."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import processes_of

from convload.comparison.conclusion import conclude
from convload.plan.plan import assemble
from convload.plan.schedule import Stage
from convload.results import runlog
from convload.results.run import Run
from convload.results.runlog import GrowingLog, Interval, RunLog, StageAdded, Started
from convload.run.execution import Controls, execute

KEYS = {"arrivals": "even", "warmup": "0s", "consumers": "none", "drain": "5s", "max_in_flight": 50}


class Steps:
    """Does one thing after the other; each waits until the log shows what it waits for."""

    def __init__(self, *steps: Callable[[Controls, list[Any]], bool], held_open: bool = False) -> None:
        self.held_open = held_open
        self._steps = list(steps)
        self._records: list[Any] = []
        self._tail: GrowingLog | None = None

    def look(self, controls: Controls) -> None:
        self._tail = self._tail or GrowingLog(controls.folder / runlog.FILE_NAME)
        self._records += self._tail.read()
        if self._steps and self._steps[0](controls, self._records):
            self._steps.pop(0)

    @property
    def left(self) -> int:
        return len(self._steps)


def run(folder: Path, steering: Steps, **keys: Any) -> RunLog:
    execute(assemble(None, {}, KEYS | keys), folder / "out", lambda _: None, steering=steering)
    return runlog.read(folder / "out")


def reached(records: list[Any], second: float) -> bool:
    return any(isinstance(record, Interval) and record.to_s >= second for record in records)


def add(*stages: Stage, after_s: float = 0.0) -> Callable[[Controls, list[Any]], bool]:
    def step(controls: Controls, records: list[Any]) -> bool:
        if not any(isinstance(record, Started) for record in records) or (after_s and not reached(records, after_s)):
            return False
        controls.add(list(stages))
        return True

    return step


def test_a_stage_that_is_added_follows_without_a_gap_and_every_arrival_of_it_is_sent(tmp_path: Path) -> None:
    more = Stage(60, 60, 1.5, "more")
    log = run(tmp_path, Steps(add(more)), rate=40, duration="2s", workers=2)
    summary = Run(log).summary
    assert [mark.starts_s for mark in log.stages] == [0.0, 2.0]
    assert {name: stage.count for name, stage in summary.stages.items()} == {"1: 40/s": 80, "more": 90}
    assert summary.duration_s == 3.5
    assert summary.counts.sent == summary.counts.recorded == summary.counts.offered == 170
    assert summary.ledger is not None
    assert summary.ledger.received == 170
    # A busy machine may be late; that is all that may be said against the run.
    assert {reason.name for reason in conclude(log).validity.named} <= {"late"}


def test_a_run_that_is_held_open_waits_for_its_next_stage_and_ends_when_it_is_told(tmp_path: Path) -> None:
    def finish(controls: Controls, _: list[Any]) -> bool:
        controls.finish()
        return True

    steering = Steps(add(Stage(100, 100, 1, "second"), after_s=2.0), finish, held_open=True)
    log = run(tmp_path, steering, rate=50, duration="1s")
    assert steering.left == 0
    assert log.stages[1].starts_s > 2.0
    counts = {name: figures.count for name, figures in Run(log).stages.items()}
    assert counts == {"1: 50/s": 50, "second": 100}
    assert Run(log).summary.counts.sent == 150


def test_a_lost_worker_does_not_end_a_run_that_is_held_open(
    tmp_path: Path,
) -> None:
    def kill(_: Controls, records: list[Any]) -> bool:
        if reached(records, 1.0):
            processes_of(os.getpid(), "convload.load.processes.worker")[0].kill()
        return reached(records, 1.0)

    def lost(controls: Controls, records: list[Any]) -> bool:
        found = any(isinstance(record, runlog.WorkerLost) for record in records)
        if found:
            controls.add([Stage(80, 80, 1, "after the loss")])
            controls.finish()
        return found

    log = run(tmp_path, Steps(kill, lost, held_open=True), rate=40, duration="1s", workers=2)
    assert Run(log).stages["after the loss"].count == 80


def test_a_closed_run_goes_on_for_as_long_as_it_is_told(tmp_path: Path) -> None:
    log = run(tmp_path, Steps(add(Stage(0, 0, 1.5, "more"))), model="closed", users=2, duration="1s")
    assert Run(log).summary.duration_s == pytest.approx(2.5, abs=0.2)


def test_an_aborted_run_ends_at_once_and_its_log_says_why(tmp_path: Path) -> None:
    def abort(controls: Controls, records: list[Any]) -> bool:
        if reached(records, 1.0):
            controls.abort("errors > 20% over 1s", "errors were 50 %")
        return reached(records, 1.0)

    log = run(tmp_path, Steps(abort), rate=50, duration="60s")
    assert log.aborted is not None
    assert log.aborted.condition == "errors > 20% over 1s"
    last_s = max(record.to_s for record in log.records if isinstance(record, Interval) and not record.last)
    assert log.aborted.at_s == pytest.approx(last_s, abs=1), "it counts from the start of the load, as all records do"
    assert Run(log).summary.duration_s < 10
    assert not [record for record in log.records if isinstance(record, StageAdded)]
