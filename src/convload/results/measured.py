"""Adds up what a run measured: per step, variant and stage, phase "measure" only."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

import msgspec
import numpy as np

from convload.contract.outcomes import OK
from convload.contract.steps import ATTEMPTS, CREATE, STEPS
from convload.errors import RunLogError
from convload.mistakes import find_mistakes
from convload.plan.facts import OPEN, PlanFacts
from convload.plan.retry import NONE, RetryPolicy
from convload.results.histogram import Accumulator, Histogram
from convload.results.runlog import Cell, Extended, Interval, Note, RunLog

MEASURE = "measure"


class Figures(msgspec.Struct, frozen=True):
    """What became of the requests of one kind; the times of failed requests are kept apart."""

    ok: int
    errors: dict[str, int]
    response: Histogram
    service: Histogram
    lateness: Histogram
    failed_response: Histogram
    failed_lateness: Histogram

    @classmethod
    def merged(cls, parts: Iterable["Figures"]) -> "Figures":
        """Adds figures up."""
        parts = list(parts)
        errors: Counter[str] = Counter()
        for part in parts:
            errors.update(part.errors)
        times = ("response", "service", "lateness", "failed_response", "failed_lateness")
        merged = [Histogram.merged(getattr(part, name) for part in parts) for name in times]
        return cls(sum(part.ok for part in parts), dict(errors), *merged)

    @property
    def failed(self) -> int:
        """Requests with any error."""
        return sum(self.errors.values())

    @property
    def all_lateness(self) -> Histogram:
        """The lateness of all requests: a failed one could be late too."""
        return self.lateness + self.failed_lateness

    @property
    def count(self) -> int:
        """All requests, successful or not."""
        return self.ok + self.failed


class Window(msgspec.Struct, frozen=True):
    """The measured time, in seconds since the run's start: the warm-up and what came after are not in it."""

    from_s: float
    to_s: float

    @property
    def length_s(self) -> float:
        """The time that a rate is divided by; 0 where nothing was measured."""
        return self.to_s - self.from_s

    def overlaps(self, interval: Interval) -> bool:
        """Says whether any of an interval was measured."""
        return interval.to_s > self.from_s and interval.from_s < self.to_s


Key = tuple[str, str, str]
"""Step, variant and stage."""


class Measured(msgspec.Struct, frozen=True):
    """All that was measured; `variants` and `stages` (by which requests were due) are of conversation.create."""

    window: Window
    steps: dict[str, Figures]
    variants: dict[str, Figures]
    stages: dict[str, Figures]
    parts: dict[Key, Figures]

    @property
    def create(self) -> Figures:
        """The figures of conversation.create, with all variants."""
        return self.steps.get(CREATE) or Figures.merged([])


def measure(log: RunLog) -> Measured:
    """Adds up the measured cells of all workers and seconds."""
    figures = add_up(intervals(log))
    create = {key: part for key, part in figures.items() if key[0] == CREATE}
    names = sorted({step for step, _, _ in figures}, key=_told_order)
    return Measured(
        window(log),
        {name: Figures.merged(part for key, part in figures.items() if key[0] == name) for name in names},
        _grouped({key: part for key, part in create.items() if key[1]}, 1),
        _grouped({key: part for key, part in create.items() if key[2]}, 2),
        figures,
    )


def attempt_steps(policy: RetryPolicy) -> tuple[str, ...]:
    """Returns the steps whose requests add up to the create requests sent."""
    return (CREATE,) if policy.policy == NONE else ATTEMPTS


def add_up(parts: Iterable[Interval], stage: str = "") -> dict[Key, Figures]:
    """Adds up the measured cells of intervals, those of one stage if it is named."""
    cells: dict[Key, list[Cell]] = defaultdict(list)
    for cell in (cell for interval in parts for cell in interval.cells):
        if cell.phase == MEASURE and stage in {"", cell.stage}:
            cells[cell.step, cell.variant, cell.stage].append(cell)
    return {key: _add_up(of_key) for key, of_key in cells.items()}


def plan_facts(log: RunLog) -> PlanFacts:
    """Reads the plan in the manifest; raises RunLogError with all that is wrong with it."""
    mistakes = find_mistakes(log.manifest.plan, PlanFacts)
    if mistakes:
        raise RunLogError(*(f"the manifest's plan: {mistake}" for mistake in mistakes))
    return msgspec.convert(log.manifest.plan, PlanFacts)


def intervals(log: RunLog) -> Iterator[Interval]:
    """Yields the intervals of all workers in the order of the log."""
    return (record for record in log.records if isinstance(record, Interval))


def was_interrupted(log: RunLog) -> bool:
    """Says whether somebody ended the run before its planned end."""
    return any(isinstance(record, Note) and record.interrupted for record in log.records)


def was_cut_short(log: RunLog) -> bool:
    """Says whether the run ended before its planned end: by a person, or by a condition of its plan."""
    return was_interrupted(log) or log.aborted is not None


def window(log: RunLog) -> Window:
    """Returns the time from the end of the warm-up to the planned end, or to where the run was cut short.

    Results that come in after the planned end belong to requests that were due before it, so they do not stretch
    the time that a rate is divided by. In the closed model the last result stands for the end; in the open model
    the schedule does, whether or not anything answered.
    """
    plan = plan_facts(log)
    planned_s = math.inf if plan.duration_s is None else plan.warmup_s + plan.duration_s
    moved = [record.to_s for record in log.records if isinstance(record, Extended)]
    planned_s = max([planned_s, *moved, *(mark.starts_s + mark.duration_s for mark in log.stages)])
    if plan.model == OPEN:
        by_schedule = was_cut_short(log) or plan.duration_s is None
        ends = (i.to_s for i in (with_arrivals(log) if by_schedule else intervals(log)))
    else:
        ends = (i.to_s for i in intervals(log) if _has_measured(i))
    last_s = max(ends, default=plan.warmup_s)
    return Window(plan.warmup_s, max(plan.warmup_s, min(last_s, planned_s)))


def by_worker(log: RunLog) -> dict[int, list[Interval]]:
    """Returns the intervals of each worker by their number."""
    return of_workers(intervals(log))


def of_workers(parts: Iterable[Interval]) -> dict[int, list[Interval]]:
    """Groups intervals by worker, each in the order of their numbers."""
    workers: dict[int, list[Interval]] = defaultdict(list)
    for interval in sorted(parts, key=lambda interval: (interval.worker, interval.n)):
        workers[interval.worker].append(interval)
    return workers


def risen(parts: Iterable[Interval], within: Window, name: str) -> float:
    """Returns by how much a count since the start rose, even within an interval, all workers together.

    Intervals from the start of the run on, or at least from before `within`, are needed.
    """
    total = 0.0
    for own in of_workers(parts).values():
        begins = [(0.0, 0)] if own[0].n == 0 else []
        points = begins + [(part.to_s, getattr(part, name)) for part in own]
        times, values = zip(*points, strict=True)
        at_start, at_end = np.interp([within.from_s, within.to_s], times, values)
        total += float(at_end - at_start)
    return total


def begun_within(parts: Sequence[Interval], within: Window) -> float:
    """Returns how many creates were sent; of a conversation that was retried the first attempt alone."""
    return risen(parts, within, "sent") - risen(parts, within, "retried")


def with_arrivals(log: RunLog) -> Iterator[Interval]:
    """Yields the intervals in which an arrival was due."""
    for parts in by_worker(log).values():
        known = 0
        for part in parts:
            if part.offered > known:
                yield part
            known = part.offered


def _add_up(cells: list[Cell]) -> Figures:
    """Adds up cells of one step, variant and stage; one at a time, as adding takes much memory."""
    outcomes: Counter[str] = Counter()
    response, service, lateness, failed_response, failed_lateness = (Accumulator() for _ in range(5))
    for cell in cells:
        outcomes[cell.outcome] += cell.count
        of_service = Histogram.decode(cell.service)
        of_response = Histogram.decode(cell.response) if cell.response else of_service
        (response if cell.outcome == OK else failed_response).add(of_response)
        (lateness if cell.outcome == OK else failed_lateness).add(Histogram.decode(cell.lateness))
        if cell.outcome == OK:
            service.add(of_service)
    errors = {outcome: count for outcome, count in outcomes.most_common() if outcome != OK}
    times = (response, service, lateness, failed_response, failed_lateness)
    return Figures(outcomes[OK], errors, *(accumulator.histogram() for accumulator in times))


def _grouped(figures: dict[Key, Figures], place: int) -> dict[str, Figures]:
    """Merges figures that have the same word at a place of their key."""
    names = sorted({key[place] for key in figures})
    return {name: Figures.merged(part for key, part in figures.items() if key[place] == name) for name in names}


def _has_measured(interval: Interval) -> bool:
    return any(cell.phase == MEASURE for cell in interval.cells)


def _told_order(step: str) -> tuple[int, str]:
    return (STEPS.index(step) if step in STEPS else len(STEPS), step)
