"""Adds up what a run measured: per step and per variant, phase "measure" only."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from convload.contract.outcomes import OK
from convload.errors import RunLogError
from convload.mistakes import find_mistakes
from convload.results.histogram import Accumulator, Histogram
from convload.results.runlog import Cell, Interval, RunLog

CREATE = "conversation.create"
STEPS = (CREATE, "conversation.send", "conversation.close", "token.app", "token.consumer")
"""The order in which steps are told; others follow by name."""

MEASURE = "measure"


class PlanFacts(msgspec.Struct, frozen=True):
    """What the results need of the frozen plan in the manifest; other keys are left alone."""

    name: str
    target: str
    account: str
    model: str
    workers: int
    warmup_s: float
    seed: int
    consumers: str
    mix: Any = None
    users: int | None = None
    duration_s: float | None = None
    conversations: int | None = None


class Figures(msgspec.Struct, frozen=True):
    """What became of the requests of one kind; the times of failed requests are kept apart."""

    ok: int
    errors: dict[str, int]
    response: Histogram
    service: Histogram
    lateness: Histogram
    failed_response: Histogram

    @classmethod
    def merged(cls, parts: Iterable["Figures"]) -> "Figures":
        """Adds figures up."""
        parts = list(parts)
        errors: Counter[str] = Counter()
        for part in parts:
            errors.update(part.errors)
        times = ("response", "service", "lateness", "failed_response")
        merged = [Histogram.merged(getattr(part, name) for part in parts) for name in times]
        return cls(sum(part.ok for part in parts), dict(errors), *merged)

    @property
    def failed(self) -> int:
        """Requests with any error."""
        return sum(self.errors.values())

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


class Measured(msgspec.Struct, frozen=True):
    """All that was measured; `variants` are those of conversation.create."""

    window: Window
    steps: dict[str, Figures]
    variants: dict[str, Figures]

    @property
    def create(self) -> Figures:
        """The figures of conversation.create, with all variants."""
        return self.steps.get(CREATE) or Figures.merged([])


def measure(log: RunLog) -> Measured:
    """Adds up the measured cells of all workers and seconds."""
    collectors: dict[tuple[str, str], _Collector] = {}
    for cell in _cells(log):
        key = (cell.step, cell.variant)
        if key not in collectors:
            collectors[key] = _Collector()
        collectors[key].add(cell)
    figures = {key: collector.figures() for key, collector in collectors.items()}
    names = sorted({step for step, _ in figures}, key=_told_order)
    steps = {name: Figures.merged(part for (step, _), part in figures.items() if step == name) for name in names}
    variants = {variant: part for (step, variant), part in sorted(figures.items()) if step == CREATE and variant}
    return Measured(window(log), steps, variants)


def plan_facts(log: RunLog) -> PlanFacts:
    """Reads the plan in the manifest; raises RunLogError with all that is wrong with it."""
    mistakes = find_mistakes(log.manifest.plan, PlanFacts)
    if mistakes:
        raise RunLogError(*(f"the manifest's plan: {mistake}" for mistake in mistakes))
    return msgspec.convert(log.manifest.plan, PlanFacts)


def intervals(log: RunLog) -> Iterator[Interval]:
    """Yields the intervals of all workers in the order of the log."""
    return (record for record in log.records if isinstance(record, Interval))


def window(log: RunLog) -> Window:
    """Returns the time from the end of the warm-up to the planned end, or to the last result before it.

    Results that come in after the planned end belong to requests that were due before it, so they do not
    stretch the time that a rate is divided by.
    """
    plan = plan_facts(log)
    last_s = max((i.to_s for i in intervals(log) if _has_measured(i)), default=plan.warmup_s)
    planned_s = last_s if plan.duration_s is None else plan.warmup_s + plan.duration_s
    return Window(plan.warmup_s, max(plan.warmup_s, min(last_s, planned_s)))


class _Collector:
    """Takes in cells of one step and variant."""

    def __init__(self) -> None:
        self._outcomes: Counter[str] = Counter()
        self._response, self._service, self._lateness, self._failed = (Accumulator() for _ in range(4))

    def add(self, cell: Cell) -> None:
        self._outcomes[cell.outcome] += cell.count
        service = Histogram.decode(cell.service)
        response = Histogram.decode(cell.response) if cell.response else service
        if cell.outcome != OK:
            self._failed.add(response)
            return
        self._response.add(response)
        self._service.add(service)
        self._lateness.add(Histogram.decode(cell.lateness))

    def figures(self) -> Figures:
        errors = {outcome: count for outcome, count in self._outcomes.most_common() if outcome != OK}
        times = (self._response, self._service, self._lateness, self._failed)
        return Figures(self._outcomes[OK], errors, *(accumulator.histogram() for accumulator in times))


def _cells(log: RunLog) -> Iterator[Cell]:
    return (cell for interval in intervals(log) for cell in interval.cells if cell.phase == MEASURE)


def _has_measured(interval: Interval) -> bool:
    return any(cell.phase == MEASURE for cell in interval.cells)


def _told_order(step: str) -> tuple[int, str]:
    return (STEPS.index(step) if step in STEPS else len(STEPS), step)
