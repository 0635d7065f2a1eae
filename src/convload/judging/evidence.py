"""What gates are judged by: figures and flows of a run, of one stage of it, or of what it has measured so far."""

from collections.abc import Iterable, Sequence

import msgspec

from convload.contract.steps import CREATE
from convload.plan.facts import OPEN
from convload.plan.schedule import StageMark
from convload.results.measured import (
    Figures,
    Key,
    Measured,
    Window,
    add_up,
    begun_within,
    intervals,
    plan_facts,
    risen,
    window,
)
from convload.results.runlog import Ended, Interval, RunLog
from convload.results.summary import count_requests, rate


class Flow(msgspec.Struct, frozen=True):
    """The create requests of a time: how many came due, were sent, and were due but never sent.

    These are counts of what happened, not samples of something behind it, so they have no error of sampling.
    `unsent` is None where it is not known: of one window of a run.
    """

    length_s: float
    sent: float
    offered: float
    unsent: int | None

    @property
    def achieved_rate(self) -> float | None:
        """Sent per second; None for no time."""
        return rate(self.sent, Window(0.0, self.length_s))

    @property
    def offered_rate(self) -> float | None:
        """Due per second; None for no time."""
        return rate(self.offered, Window(0.0, self.length_s))


class Totals(msgspec.Struct, frozen=True):
    """The figures of a time by step, variant and stage, and its flows by stage; "" is the flow of all."""

    parts: dict[Key, Figures]
    flows: dict[str, Flow]

    def figures(self, step: str, variant: str = "", stage: str = "") -> Figures:
        """Adds up what was measured of a step, a variant of it, a stage of it."""
        wanted = (
            part
            for (of_step, of_variant, of_stage), part in self.parts.items()
            if of_step == step and variant in {"", of_variant} and stage in {"", of_stage}
        )
        return Figures.merged(wanted)


class Evidence(msgspec.Struct, frozen=True):
    """All that gates of a run can ask for; `scope` is the one stage that it is restricted to.

    `stages` has the time of each measured stage, in pieces where several have the same name.
    """

    totals: Totals
    window: Window
    stages: dict[str, list[Window]]
    intervals: list[Interval]
    is_open: bool
    scope: str = ""

    def times(self, stage: str) -> list[Window]:
        """Returns the measured time, or that of a stage."""
        if stage or self.scope:
            return self.stages.get(stage or self.scope, [])
        return [self.window]


def evidence(log: RunLog, *, stage: str = "", measured: Measured | None = None) -> Evidence:
    """Returns what a run log holds, whether the run has ended or goes on; `measured` saves adding it up again.

    Args:
        log: the log; one that still grows is `RunLog(manifest, records so far, [])`.
        stage: restricts all figures to the requests that were due in the stage of that name, and all flows to its time.
        measured: what `measure` says of the whole log.

    Raises:
        RunLogError: the manifest's plan or a histogram cannot be read.
    """
    parts = list(intervals(log))
    figures = measured.parts if measured is not None and not stage else add_up(parts, stage)
    whole, stages = window(log), _stages(log.stages, window(log))
    is_open = plan_facts(log).model == OPEN
    if is_open:
        flows = {name: _flow_of_stage(log, figures, stages[name], name) for name in stages if stage in {"", name}}
        flows[""] = flows.get(stage, Flow(0.0, 0, 0, 0)) if stage else _flow(log, figures, whole)
    else:
        count = _count(figures)
        flows = {"": Flow(whole.length_s, count, count, 0)}
    return Evidence(Totals(figures, flows), whole, stages, parts, is_open, stage)


def _stages(marks: Sequence[StageMark], whole: Window) -> dict[str, list[Window]]:
    found: dict[str, list[Window]] = {}
    for mark in marks:
        if not mark.warmup:
            ends_s = max(mark.starts_s, min(mark.starts_s + mark.duration_s, whole.to_s))
            found.setdefault(mark.name, []).append(Window(mark.starts_s, ends_s))
    return found


def _flow(log: RunLog, figures: dict[Key, Figures], whole: Window) -> Flow:
    unsent = count_requests(log).unsent
    sent = begun_within(list(intervals(log)), whole)
    return Flow(whole.length_s, sent, _count(figures) + unsent, unsent)


def _flow_of_stage(log: RunLog, figures: dict[Key, Figures], times: list[Window], name: str) -> Flow:
    """Adds up a stage; which one an unsent arrival was due in is known to the second only."""
    parts = list(intervals(log))
    sent = sum(begun_within(parts, time) for time in times)
    offered = sum(risen(parts, time, "offered") for time in times)
    unsent, count = count_requests(log).unsent, _count(figures, name)
    if not unsent and any(isinstance(record, Ended) for record in log.records):
        offered = count
    missing = min(unsent, max(0, round(offered - count)))
    return Flow(sum(time.length_s for time in times), sent, offered, missing)


def _count(figures: dict[Key, Figures], stage: str = "") -> int:
    return sum(part.count for key, part in figures.items() if key[0] == CREATE and stage in {"", key[2]})


def totals_within(
    parts: Iterable[Interval], within: Window, *, is_open: bool, before: Sequence[Interval] = ()
) -> Totals:
    """Adds up the intervals of a part of a run; `before` are those that the rise of a count is read from."""
    own = list(parts)
    figures = add_up(own)
    count = _count(figures)
    known = before or own
    sent = begun_within(known, within) if is_open else count
    offered = risen(known, within, "offered") if is_open else count
    return Totals(figures, {"": Flow(within.length_s, sent, offered, None)})
