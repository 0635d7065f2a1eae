"""Judges a run by its gates while it goes on, so that people see where it is heading; it decides nothing."""

import threading
import time
from collections.abc import Callable, Sequence

import msgspec

from convload.comparison.two_targets import stages_of
from convload.errors import ConvloadError
from convload.judging.baseline import read_frozen
from convload.judging.gate_result import FAIL, PASS, GateResult
from convload.judging.plan_gates import judge_plan, judge_two_targets
from convload.live import background
from convload.live.watching import Show
from convload.plan.schedule import TARGETS
from convload.results.progress import Progress
from convload.results.run import Run
from convload.results.runlog import MEASURE, Interval, Manifest, Record, RunLog

SHARE = 0.04
"""Of a core: after a judging that took a second, there are 24 in which nothing is judged."""

SHORTEST_S = 2.0

MOST_CELLS = 100_000
"""Beyond them a run is too long to be judged all the time: it would take ten seconds, and the memory for all of it."""

PASSES, FAILS, IN_DANGER, UNDECIDED = "passes", "fails", "in danger", "undecided"


class GateState(msgspec.Struct, frozen=True):
    """Where a gate stands: `passes` or `fails` if what was measured decides it, else whether it leans to failing."""

    gate: str
    state: str
    value: float | None
    low: float | None
    high: float | None
    limit: float | None
    unit: str
    message: str

    @classmethod
    def of(cls, result: GateResult) -> "GateState":
        """Returns what a judgement says of a gate."""
        figures = (result.value, result.low, result.high, result.limit, result.unit)
        return cls(result.gate, _state(result), *figures, result.message)


class GateWatch(Show):
    """Judges what has come so far, in a thread of its own, and not more often than it can afford.

    The last judgement looked until `judged_s`, seconds from the start; it `gave_up` where the run has become too long.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._records: list[Record] = []
        self._cells = 0
        self._next_s = 0.0
        self._judging: threading.Thread | None = None
        self.results: list[GateResult] = []
        self.states: list[GateState] = []
        self.judged_s = 0.0
        self.gave_up = False

    def update(self, progress: Progress, records: Sequence[Record]) -> None:  # noqa: ARG002 -- as all shows
        """Takes what has come, and begins to judge it if it is time."""
        if self.gave_up:
            return
        self._records += records
        self._cells += sum(len(one.cells) for one in records if isinstance(one, Interval))
        if self._cells > MOST_CELLS:
            self._records, self.gave_up = [], True
        elif self._is_time():
            self._judging = background.start(self.judge, "gates", list(self._records))

    def _is_time(self) -> bool:
        is_measured = any(
            cell.phase == MEASURE for one in self._records[-4:] if isinstance(one, Interval) for cell in one.cells
        )
        is_idle = self._judging is None or not self._judging.is_alive()
        return is_measured and is_idle and self._clock() >= self._next_s

    def judge(self, records: list[Record]) -> None:
        """Judges some records, the first of which is the manifest."""
        began_s = self._clock()
        if records and isinstance(records[0], Manifest):
            try:
                self.results = _judged(RunLog.growing(records))
            except (ConvloadError, ValueError):
                self.results = []  # a log that somebody has damaged; the end tells of it
            self.states = [GateState.of(one) for one in self.results]
            self.judged_s = max((one.to_s for one in records if isinstance(one, Interval)), default=0.0)
        self._next_s = self._clock() + max(SHORTEST_S, (self._clock() - began_s) / SHARE)


def _judged(log: RunLog) -> list[GateResult]:
    run = Run(log)
    if run.plan.target_b:
        return judge_two_targets(run.totals, {target: stages_of(log, target) for target in TARGETS})
    baseline = read_frozen(log.manifest.baseline)
    return judge_plan(run, None if baseline is None else baseline.totals())


def _state(result: GateResult) -> str:
    if result.outcome in {PASS, FAIL} and _is_decided(result):
        return PASSES if result.outcome == PASS else FAILS
    if None in (result.value, result.limit, result.low, result.high):
        return UNDECIDED
    is_lower_better = "<" in result.gate
    is_beyond = result.value > result.limit if is_lower_better else result.value < result.limit  # type: ignore[operator]  # looked at above
    return IN_DANGER if is_beyond else UNDECIDED


def _is_decided(result: GateResult) -> bool:
    """Whether what was measured decides it; a built-in gate goes by its value, of which only the bounds say so."""
    if not result.builtin or result.limit is None or None in (result.low, result.high):
        return True
    return result.high <= result.limit if result.outcome == PASS else result.low > result.limit  # type: ignore[operator]
