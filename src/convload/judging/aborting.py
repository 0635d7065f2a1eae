"""Finds out while a run goes on whether a condition of its `abort_when` surely holds, so that it need not go on."""

import math
from collections.abc import Sequence

from convload.judging.delays import Measured
from convload.judging.dependence import INDEPENDENT, LEVELS, SHORTEST_S, Dependence, of_share, of_times
from convload.judging.estimates import US_PER_MS
from convload.judging.gate_result import PASS
from convload.judging.gates import judge_measured, limit_of
from convload.plan.facts import PlanFacts
from convload.plan.gate import Gate
from convload.plan.schedule import StageMark
from convload.results.batches import Batches
from convload.results.health import Health
from convload.results.histogram import Histogram
from convload.results.measured import Totals
from convload.results.run import Run
from convload.results.runlog import Aborted, Interval
from convload.results.window import EDGE_S, Window

SILENT_S = 3.0
"""A worker that said nothing for longer has ended or is lost; the others are not kept waiting for it."""

BEFORE_S = 8.0
"""Before a window, in which seconds are looked at, too: the fewer there are, the less they say of how they differ."""

FEWEST_SECONDS = 2

OPEN_END_LOOKS = 3600
"""Looks at a run without a planned end: an hour of them."""


def check(conditions: Sequence[Gate], run: Run, intervals: Sequence[Interval]) -> Aborted | None:
    """Returns which condition holds over its most recent window, None if none surely does.

    A condition holds when the bound of its figure lies beyond its limit, so a handful of failures is not enough. The
    run is looked at about every second, and each look is a chance of a wrong alarm. So each is made at 1 - (1 - c)/k,
    k the planned seconds of the run, which keeps the chance of a wrong alarm in all of it at 1 - c. Only requests of
    the measured time count, and a window must lie in it whole; of a condition on a stage, in that stage.

    Requests depend on each other, and a window is too short for the batches of a gate. What its requests are worth is
    told by how its single seconds differ, and how those before it do: the window's from the window's own level, so that
    a target that breaks all at once is not taken for one that has always gone up and down. A window that breaks in its
    middle is decided when it is bad as a whole.

    Args:
        conditions: parsed with `conditions=True`.
        run: as far as it has come; of its intervals at least those of the longest window and some seconds before it.
        intervals: those among them in which the load went on.
    """
    known = Health.of(intervals)
    ends = known.ends["to_s"].tolist()
    if not ends:
        return None
    until_s = min(end for end in ends if end >= max(ends) - SILENT_S)
    confidence = 1 - (1 - run.plan.confidence) / looks(run.plan)
    for condition in conditions:
        found = _holds(condition, until_s, run, intervals, known, confidence)
        if found:
            return Aborted(round(until_s, 3), condition.text, found)
    return None


def looks(plan: PlanFacts) -> int:
    """Returns how often a run is looked at, one look a second."""
    if plan.duration_s is None:
        return OPEN_END_LOOKS
    return max(1, math.ceil(plan.duration_s + plan.extend_s))


def _holds(
    condition: Gate, until_s: float, run: Run, intervals: Sequence[Interval], known: Health, confidence: float
) -> str | None:
    """Returns the figures of a condition that holds."""
    assert condition.windows is not None  # noqa: S101 -- the grammar asks for it
    within = Window(until_s - condition.windows.length_s, until_s)
    begins_s = _stage_begins_s(condition, within, run.marks) if condition.subject.stage else run.plan.warmup_s
    if begins_s is None or within.from_s < begins_s - EDGE_S:
        return None
    parts = list(filter(within.has, intervals))
    totals = Totals.within(parts, within, is_open=run.is_open, known=known)
    span = Window(max(begins_s, within.from_s - BEFORE_S), until_s)
    if round(span.length_s) < FEWEST_SECONDS:
        return None
    dependence = _dependence(condition, run, _Seconds(intervals, span, within))
    result = judge_measured(condition, Measured(run, totals, parts), confidence, dependence)
    return result.message if result.outcome == PASS else None


class _Seconds(Batches):
    """The seconds of a span as batches, those of the window at its end being a stratum."""

    def __init__(self, intervals: Sequence[Interval], span: Window, within: Window) -> None:
        super().__init__(intervals, [span])
        self.count = round(span.length_s)
        self._strata = [within]


def _dependence(condition: Gate, run: Run, seconds: _Seconds) -> Dependence:
    subject = condition.subject
    asked = (subject.step, subject.variant, subject.stage)
    if run.plan.independent or (subject.measure != "errors" and subject.percent is None):
        return INDEPENDENT
    if subject.measure == "errors":
        return of_share(*seconds.outcomes(*asked, subject.kind), SHORTEST_S)
    sliced = seconds.times(*asked, subject.clock)
    own = Histogram.merged(sliced.times[-1])
    if not own.count or subject.percent is None:
        return INDEPENDENT
    limit_us = US_PER_MS * (limit_of(condition).value or 0.0)
    return of_times(sliced, [*own.percentiles([subject.percent, *LEVELS]), limit_us], SHORTEST_S)


def _stage_begins_s(condition: Gate, within: Window, stages: Sequence[StageMark]) -> float | None:
    """Returns when the stage that a condition names began, if the window ends in it; requests may come in behind it."""
    return next(
        (
            mark.starts_s
            for mark in stages
            if mark.name == condition.subject.stage
            and mark.starts_s < within.to_s <= mark.starts_s + mark.duration_s + 1
        ),
        None,
    )
