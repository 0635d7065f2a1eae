"""What a run that goes on has come to so far, read from its growing log by whoever shows it meanwhile."""

import threading
from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from pathlib import Path

from convload.contract.outcomes import OK
from convload.contract.steps import CREATE
from convload.plan.schedule import StageMark, cut
from convload.results.histogram import Histogram
from convload.results.run import Run
from convload.results.runlog import (
    FILE_NAME,
    Aborted,
    Cell,
    Ended,
    Extended,
    GrowingLog,
    Interval,
    Manifest,
    Note,
    Record,
    RunLog,
    StageAdded,
    StagesCut,
    Started,
    WorkerLost,
)

RECENT_S = 60.0
"""What is remembered second by second."""

CLOCKS = ("response", "service", "lateness")

Kind = tuple[str, str, str, str]
"""Step, variant, target and phase."""


class Tally:
    """Requests of one kind: how many of each outcome, and the times of those that succeeded, in µs."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.times = dict.fromkeys(CLOCKS, Histogram.empty())

    def add(self, cell: Cell) -> None:
        """Adds what came in one interval."""
        self.outcomes[cell.outcome] += cell.count
        if cell.outcome == OK:
            for clock in CLOCKS:
                if text := getattr(cell, clock) or (cell.service if clock == "response" else ""):
                    self.times[clock] += Histogram.decode(text)


class Progress:
    """Follows a run log. What reads it in another thread than the one that calls `read` holds its `lock`.

    Attributes:
        tallies: what was counted since the start, by kind.
        recent: the intervals of the last minute, in the order of the log.
        latest: the last interval of each worker that takes part.
        remarks: what was noted meanwhile.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._tail: GrowingLog | None = None
        self.manifest: Manifest | None = None
        self.started: Started | None = None
        self.ended = False
        self.tallies: defaultdict[Kind, Tally] = defaultdict(Tally)
        self.recent: deque[Interval] = deque()
        self.latest: dict[int, Interval] = {}
        self.marks: list[StageMark] = []
        self.remarks: list[str] = []
        self._moved_to_s = 0.0
        self._is_cut = False
        self._targets: dict[str, str] = {}

    def read(self, folder: Path) -> list[Record]:
        """Takes what has come since the last call, and returns it."""
        self._tail = self._tail or GrowingLog(folder / FILE_NAME)
        found = self._tail.read()
        with self.lock:
            for record in found:
                self._take(record)
        return found

    def _take(self, record: Record) -> None:
        match record:
            case Manifest():
                self.manifest = record
                self._know(record.stages)
            case Started():
                self.started = record
            case Interval():
                self._add(record)
            case StageAdded():
                self._know([record.mark])
            case StagesCut():
                self.marks, self._is_cut = cut(self.marks, record.to_s), True
            case Extended():
                self._moved_to_s = record.to_s
            case WorkerLost():
                self.latest.pop(record.worker, None)
                self.remarks.append(f"worker {record.worker} was lost: {record.why}")
            case Aborted() | Note():
                self.remarks.append(record.text)
            case Ended():
                self.ended = True

    def _know(self, marks: list[StageMark]) -> None:
        self.marks += marks
        self._targets |= {mark.name: mark.target for mark in marks}

    def _add(self, interval: Interval) -> None:
        self.latest[interval.worker] = interval
        self.recent.append(interval)
        while self.recent[0].to_s < interval.to_s - RECENT_S:
            self.recent.popleft()
        for cell in interval.cells:
            target = self._targets.get(cell.stage, "")
            self.tallies[cell.step, cell.variant, target, cell.phase].add(cell)

    # -- what is asked of it --

    @property
    def elapsed_s(self) -> float:
        """Until when all that take part have told what they measured."""
        return min((one.to_s for one in self.latest.values()), default=0.0)

    @property
    def ends_s(self) -> float | None:
        """The planned end as it is now, None where something else than time ends the run."""
        if self.manifest is None:
            return None
        plan = Run(RunLog(self.manifest, [], [])).plan
        planned = None if plan.duration_s is None else plan.warmup_s + plan.duration_s
        ends = [mark.starts_s + mark.duration_s for mark in self.marks]
        known = [one for one in (None if self._is_cut else planned, self._moved_to_s, *ends) if one]
        return max(known, default=None)

    def stage_at(self, at_s: float) -> StageMark | None:
        """Returns the stage that goes on then; of a closed load, which has none, None."""
        begun = [mark for mark in self.marks if mark.starts_s <= at_s]
        return begun[-1] if begun else None

    def sum_of_latest(self, name: str) -> int:
        """Adds up what the workers stated last."""
        return sum(getattr(one, name) for one in self.latest.values())

    def last(self, seconds: float) -> list[Interval]:
        """Returns the intervals of the last seconds."""
        from_s = max((one.to_s for one in self.recent), default=0.0) - seconds
        return [one for one in self.recent if one.to_s > from_s + 0.01]

    def times(self, clock: str = "response", step: str = CREATE) -> Histogram:
        """Returns the times of what succeeded of a step since the start."""
        return Histogram.merged(tally.times[clock] for kind, tally in self.tallies.items() if kind[0] == step)

    def outcomes(self, step: str = CREATE) -> Counter[str]:
        """Returns how many of a step came to which end since the start."""
        found: Counter[str] = Counter()
        for kind, tally in self.tallies.items():
            if kind[0] == step:
                found.update(tally.outcomes)
        return found


def rate_of(intervals: Sequence[Interval], step: str = CREATE, outcome: str = "") -> float:
    """Returns how many requests of a step came to an end per second, all workers together."""
    count = sum(c.count for one in intervals for c in one.cells if c.step == step and outcome in {"", c.outcome})
    span_s = max((one.to_s for one in intervals), default=0.0) - min((one.from_s for one in intervals), default=0.0)
    return count / span_s if span_s else 0.0


def offered_rate_of(intervals: Sequence[Interval]) -> float:
    """Returns how many arrivals came due per second, all workers together; 0 for fewer than two intervals of each."""
    found = 0.0
    by_worker: dict[int, list[Interval]] = defaultdict(list)
    for one in intervals:
        by_worker[one.worker].append(one)
    for own in by_worker.values():
        if (span_s := own[-1].to_s - own[0].to_s) > 0:
            found += (own[-1].offered - own[0].offered) / span_s
    return found


def times_of(intervals: Sequence[Interval], step: str = CREATE) -> Histogram:
    """Returns the response times of what succeeded of a step in some intervals."""
    cells = (cell for one in intervals for cell in one.cells if cell.step == step and cell.outcome == OK)
    return Histogram.merged(Histogram.decode(cell.response or cell.service) for cell in cells)
