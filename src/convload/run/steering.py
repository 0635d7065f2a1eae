"""Decides from the growing log of a run whether it stops early, or goes on because its gates are undecided."""

import math
import time
from collections.abc import Callable

import msgspec

from convload.judging.aborting import check
from convload.judging.baseline import read_frozen
from convload.judging.dependence import special
from convload.judging.gate_result import FAIL, INCONCLUSIVE, GateResult
from convload.judging.plan_gates import extension_rate, gates_of, judge_plan, look_times_s
from convload.plan.facts import PlanFacts
from convload.plan.gate_keys import parsed
from convload.plan.plan import Plan
from convload.plan.schedule import Stage
from convload.results.measured import with_arrivals
from convload.results.run import Run
from convload.results.runlog import FILE_NAME, GrowingLog, Interval, Note, Record, RunLog, Started, WorkerLost
from convload.results.window import middle_s
from convload.run.execution import Controls

EVERY_S = 1.0
"""A worker tells what it measured once a second."""

AHEAD_S = 1.5
"""A run that is to go on is told so before its end, or there would be a gap in its load.

The stated confidence bears it: a run can end at one of five instants, and at each it is judged by all that it has
measured until then. What is seen ahead only picks the instant.
"""

AHEAD_A_CELL_S = 0.0001
"""Judging takes less than this for each cell of the log, so a long run is looked at earlier."""

TOO_LATE_S = 0.6
"""Nearer to its end, more load might not reach the workers before they are done."""

REMEMBERED_S = 10.0
"""Kept of a run beyond the longest window of its conditions: what silent workers said last, and rises of counts."""


class Judging:
    """Looks at a run about once a second, as its plan's `abort_when` and `extend` ask for.

    `clock` tells seconds since the epoch, as the run log does.
    """

    held_open = False

    def __init__(self, plan: Plan, clock: Callable[[], float] = time.time) -> None:
        self._plan = msgspec.convert(msgspec.to_builtins(plan), PlanFacts)
        self._conditions = parsed([], plan.abort_when)
        self._ends_s = look_times_s(self._plan)
        self._extended = 0
        self._may_extend = bool(plan.extend_s)
        if self._may_extend:
            special()  # is loaded: else the first judging takes longer than there is between the look ahead and the end
        self._clock = clock
        self._next_s = 0.0
        self._tail: GrowingLog | None = None
        self._records: list[Record] = []
        self._started_s = math.inf
        self._cells = 0

    @classmethod
    def of(cls, plan: Plan) -> "Judging | None":
        """Returns what a plan asks for, None where it asks for nothing."""
        return cls(plan) if plan.abort_when or plan.extend_s else None

    def look(self, controls: Controls) -> None:
        """Stops or lengthens the run, if it is time."""
        if self._clock() >= self._next_s:
            self._next_s = self._clock() + EVERY_S
            self._read(controls)
            if self._aborts(controls):
                self._next_s, self._may_extend = math.inf, False
        ahead_s = AHEAD_S + AHEAD_A_CELL_S * self._cells
        if self._may_extend and self._elapsed_s() >= self._ends_s[self._extended] - ahead_s:
            self._read(controls)
            self._extend(controls, Run(RunLog.growing(self._records)))
            self._may_extend = self._may_extend and self._extended < len(self._ends_s) - 1

    def move_end(self, by_s: float) -> None:
        """Takes note that the end of the run was moved."""
        self._ends_s = [ends_s + by_s for ends_s in self._ends_s]

    def _elapsed_s(self) -> float:
        """Returns seconds since the run began, below 0 before it has."""
        return self._clock() - self._started_s

    def _read(self, controls: Controls) -> None:
        self._tail = self._tail or GrowingLog(controls.folder / FILE_NAME)
        for record in self._tail.read():
            self._records.append(record)
            if isinstance(record, Started):
                self._started_s = record.at_unix_s
            if isinstance(record, Interval):
                self._cells += len(record.cells)
        if not self._may_extend:
            self._forget()

    def _forget(self) -> None:
        """Drops what no condition looks at any more, which in a run of days would fill the memory."""
        longest_s = max((one.windows.length_s for one in self._conditions if one.windows), default=0.0)
        last_s = max((one.to_s for one in self._records if isinstance(one, Interval)), default=0.0)
        from_s = last_s - longest_s - REMEMBERED_S
        self._records = [one for one in self._records if not isinstance(one, Interval) or one.to_s >= from_s]

    def _aborts(self, controls: Controls) -> bool:
        if not self._conditions or self._elapsed_s() < 0:
            return False
        run = Run(RunLog.growing(self._records))
        found = check(self._conditions, run, _under_load(run, self._ends_s[self._extended]))
        if found is not None:
            controls.abort(found.condition, found.text)
        return found is not None

    def _extend(self, controls: Controls, run: Run) -> None:
        """Lengthens the run by a part of its extension, while nothing has failed and it could decide something."""
        results = _judge(run)
        ends_s, next_s = self._ends_s[self._extended : self._extended + 2]
        stage = _stage(run, self._extended + 1, next_s - ends_s)
        wanting = _undecided(results, run)
        self._may_extend = False
        if stage is None or not wanting or FAIL in _outcomes(results) or _is_spoilt(run):
            if self._extended:
                spent = f"{ends_s - self._ends_s[0]:g} of up to {self._plan.extend_s:g} s"
                controls.note(f"the extension ended after {spent}: {_why_it_ended(results)}")
        elif self._elapsed_s() > ends_s - TOO_LATE_S:
            controls.note("was to be extended, but judging it took until its end: the machine is too busy")
        else:
            controls.add([stage])
            controls.note(f"extended by {stage.duration_s:g} s: undecided: {'; '.join(map(_wants, wanting))}")
            self._extended += 1
            self._may_extend = True


def _under_load(run: Run, ends_s: float) -> list[Interval]:
    """Returns the intervals in which the load went on: rates fall at its end, which is no reason to stop it."""
    plan = run.plan
    if plan.duration_s is not None:
        last_s = ends_s
    elif run.is_open:
        last_s = float(with_arrivals(run.health)["to_s"].max(initial=0.0))
    else:
        last_s = math.inf
        if plan.conversations is not None and run.counts.begun >= plan.conversations:
            return []
    return [part for part in run.intervals if middle_s(part) < last_s]


def _judge(run: Run) -> list[GateResult]:
    baseline = read_frozen(run.manifest.baseline)
    return judge_plan(run, None if baseline is None else baseline.totals())


def _undecided(results: list[GateResult], run: Run) -> list[GateResult]:
    """Returns the results that more load may decide; a gate on one stage has seen all of it."""
    # Built-in gates, which come behind those of the plan, are decided by their point values.
    pairs = zip(gates_of(run.plan), results, strict=False)
    return [result for gate, result in pairs if result.outcome == INCONCLUSIVE and not gate.subject.stage]


def _outcomes(results: list[GateResult]) -> set[str]:
    return {result.outcome for result in results}


def _is_spoilt(run: Run) -> bool:
    """Says whether the run supports no verdict already, however long it goes on."""
    waived = run.plan.validity.waive
    return any(
        (isinstance(record, WorkerLost) and "worker_lost" not in waived)
        or (isinstance(record, Note) and record.invalidates and "noted" not in waived)
        for record in run.log.records
    )


def _stage(run: Run, number: int, duration_s: float) -> Stage | None:
    """Returns more of the load of a run; None for an open one that has been nothing but a pause."""
    rate = extension_rate(run.manifest.stages) if run.is_open else 0.0
    return Stage(rate, rate, duration_s, f"extension {number}") if rate or not run.is_open else None


def _wants(result: GateResult) -> str:
    if result.needed is None:
        return result.message
    return f"{result.gate} needs about {result.needed:,} samples, it has {result.samples or 0:,}"


def _why_it_ended(results: list[GateResult]) -> str:
    if FAIL in _outcomes(results):
        return "a gate is broken"
    return "more load decides nothing" if INCONCLUSIVE in _outcomes(results) else "every gate is decided"
