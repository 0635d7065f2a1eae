"""A run, read from its log: each figure is reckoned once, when somebody asks for it.

All that judges or shows a run takes a `Run`. It is a look at a log: one that has grown gives a new `Run`.
"""

import math
from collections import Counter, defaultdict
from functools import cached_property
from itertools import groupby
from typing import Any

import msgspec

from convload.contract.steps import CREATE, FIRST, place_of
from convload.errors import RunLogError
from convload.mistakes import find_mistakes
from convload.plan.facts import CLOSED, OPEN, PlanFacts
from convload.plan.schedule import StageMark
from convload.results.batches import Batches
from convload.results.cells import MEASURE, counted
from convload.results.course import Course
from convload.results.health import Health, intervals_of
from convload.results.histogram import statistics, unsupported
from convload.results.measured import (
    Figures,
    Flow,
    Key,
    Totals,
    begun_within,
    count_creates,
    figures_of,
    highest_together,
    rate,
    risen,
    with_arrivals,
)
from convload.results.retries import summarise_retries
from convload.results.runlog import Ended, Extended, Interval, Manifest, MockLedger, Note, RunLog
from convload.results.series import Second
from convload.results.summary import (
    Generator,
    KeptRequests,
    Received,
    RequestCounts,
    Requests,
    StageRequests,
    Summary,
    near_ceiling,
)
from convload.results.window import Window


class Run:
    """What a log says of its run; any figure raises RunLogError where the plan or a histogram cannot be read.

    A log that still grows is `RunLog(manifest, records so far, [])`. `stage` restricts figures and flows to the
    requests that were due in the stage of that name, and to its time.
    """

    def __init__(self, log: RunLog, stage: str = "") -> None:
        self.log = log
        self.stage = stage
        self._batches: dict[str, Batches] = {}

    # -- what was planned, and what came of it --

    @property
    def manifest(self) -> Manifest:
        """What was run, with what, on what."""
        return self.log.manifest

    @cached_property
    def plan(self) -> PlanFacts:
        """The frozen plan."""
        return plan_facts(self.manifest)

    @property
    def is_open(self) -> bool:
        """Whether arrivals come as a schedule says, and not as users ask."""
        return self.plan.model == OPEN

    @cached_property
    def marks(self) -> list[StageMark]:
        """The stages of an open load as they were held, planned ones and those that were added."""
        return self.log.stages

    @cached_property
    def interrupted(self) -> bool:
        """Whether somebody ended the run before its planned end."""
        return any(isinstance(record, Note) and record.interrupted for record in self.log.records)

    @property
    def cut_short(self) -> bool:
        """Whether the run ended before its planned end: by a person, or by a condition of its plan."""
        return self.interrupted or self.log.aborted is not None

    # -- what the workers said --

    @cached_property
    def results(self) -> list[Interval]:
        """What was measured, in the order of the log: of single workers, or of several in the same time."""
        return [record for record in self.log.records if isinstance(record, Interval)]

    @cached_property
    def health(self) -> Health:
        """What each worker was of itself in each of its intervals."""
        return Health.of(self.results)

    @cached_property
    def intervals(self) -> list[Interval]:
        """The intervals of all workers one by one, of a log that is not long, in its order."""
        return list(intervals_of(self.results))

    @cached_property
    def workers(self) -> dict[int, list[Interval]]:
        """The intervals of each worker, in the order of their numbers."""
        parts = sorted(self.intervals, key=lambda one: (one.worker, one.n))
        return {worker: list(own) for worker, own in groupby(parts, key=lambda one: one.worker)}

    @cached_property
    def counts(self) -> RequestCounts:
        """What each worker counted until its last interval, added up."""
        ends = self.health.ends
        return RequestCounts(*(int(ends[name].sum()) for name in RequestCounts.__struct_fields__))

    @cached_property
    def outcomes(self) -> dict[str, Counter[str]]:
        """The outcomes of each step over the whole run, in all its phases."""
        found: dict[str, Counter[str]] = defaultdict(Counter)
        for interval in self.results:
            for (step, _, _, outcome, _), count in counted(interval.cells):
                found[step][outcome] += count
        return found

    @cached_property
    def received(self) -> Received | None:
        """What the mock counted; None for another target."""
        ledger = self.ledger
        return Received(ledger.received, ledger.accepted) if ledger else None

    @cached_property
    def ledger(self) -> MockLedger | None:
        """The record of what the mock counted."""
        return next((record for record in self.log.records if isinstance(record, MockLedger)), None)

    # -- what was measured --

    @cached_property
    def window(self) -> Window:
        """The time from the end of the warm-up to the planned end, or to where the run was cut short.

        Results that come in after the planned end belong to requests that were due before it, so they do not stretch
        the time that a rate is divided by. In the closed model the last result stands for the end; in the open model
        the schedule does, whether or not anything answered.
        """
        plan = self.plan
        planned_s = math.inf if plan.duration_s is None else plan.warmup_s + plan.duration_s * (not self.log.is_cut)
        moved = [record.to_s for record in self.log.records if isinstance(record, Extended)]
        planned_s = max([planned_s, *moved, *(mark.starts_s + mark.duration_s for mark in self.marks)])
        last_s = max(self._measuring_ends_s(), default=plan.warmup_s)
        return Window(plan.warmup_s, max(plan.warmup_s, min(last_s, planned_s)))

    def _measuring_ends_s(self) -> list[float]:
        """Returns the ends of the intervals whose end may be that of the measured time; of many the last."""
        if not self.is_open:
            return [one.to_s for one in self.results if any(key[2] == MEASURE for key, _ in counted(one.cells))]
        by_schedule = self.cut_short or self.plan.duration_s is None
        measuring = with_arrivals(self.health) if by_schedule else self.health
        return [float(measuring["to_s"].max())] if len(measuring) else []

    @cached_property
    def measured_health(self) -> Health:
        """What each worker was in the intervals of which any was measured."""
        return self.window.overlapping(self.health)

    @cached_property
    def stage_times(self) -> dict[str, list[Window]]:
        """The time of each measured stage, in pieces where several have the same name."""
        found: dict[str, list[Window]] = {}
        for mark in self.marks:
            if not mark.warmup:
                found.setdefault(mark.name, []).append(self._time_of(mark))
        return found

    def _time_of(self, mark: StageMark) -> Window:
        ends_s = min(mark.starts_s + mark.duration_s, self.window.to_s)
        return Window(mark.starts_s, max(mark.starts_s, ends_s))

    def times(self, stage: str = "") -> list[Window]:
        """Returns the measured time, or that of a stage."""
        if stage or self.stage:
            return self.stage_times.get(stage or self.stage, [])
        return [self.window]

    @cached_property
    def parts(self) -> dict[Key, Figures]:
        """All that was measured, by step, variant and stage."""
        # A stage's own batches lie in its time, the run's in all of it: either way none is left out.
        return figures_of(self.batches(self.stage).sums, self.stage)

    @cached_property
    def steps(self) -> dict[str, Figures]:
        """The figures of each step, in the order of a conversation."""
        found = self._grouped(0)
        return {name: found[name] for name in sorted(found, key=place_of)}

    @cached_property
    def variants(self) -> dict[str, Figures]:
        """The figures of conversation.create by variant."""
        return self._grouped(1, CREATE)

    @cached_property
    def stages(self) -> dict[str, Figures]:
        """The figures of conversation.create by the stage in which requests were due."""
        return self._grouped(2, CREATE)

    def _grouped(self, place: int, step: str = "") -> dict[str, Figures]:
        """Merges figures that have the same word at a place of their key."""
        own = {key: part for key, part in self.parts.items() if step in {"", key[0]} and key[place]}
        names = sorted({key[place] for key in own})
        return {name: Figures.merged(part for key, part in own.items() if key[place] == name) for name in names}

    @property
    def create(self) -> Figures:
        """The figures of conversation.create, with all variants."""
        return self.steps.get(CREATE) or Figures.merged([])

    @cached_property
    def totals(self) -> Totals:
        """What gates are asked of: figures, and flows by stage."""
        if not self.is_open:
            count = count_creates(self.parts)
            return Totals(self.parts, {"": Flow(self.window.length_s, count, count, 0)})
        flows = {name: self._flow_of_stage(name) for name in self.stage_times if self.stage in {"", name}}
        flows[""] = flows.get(self.stage, Flow(0.0, 0, 0, 0)) if self.stage else self._flow()
        return Totals(self.parts, flows)

    def batches(self, stage: str = "") -> Batches:
        """Returns what was measured, or what a stage was, to be cut into batches of equal time."""
        if stage not in self._batches:
            strata = [] if stage else [time for times in self.stage_times.values() for time in times]
            self._batches[stage] = Batches(self.results, self.times(stage), strata)
        return self._batches[stage]

    def _flow(self) -> Flow:
        unsent = self.counts.unsent
        return Flow(self.window.length_s, self.sent_within(self.window), count_creates(self.parts) + unsent, unsent)

    def _flow_of_stage(self, name: str) -> Flow:
        """Adds up a stage; which one an unsent arrival was due in is known to the second only."""
        times = self.stage_times[name]
        offered = sum(risen(self.health, time, "offered") for time in times)
        unsent, count = self.counts.unsent, count_creates(self.parts, name)
        if not unsent and any(isinstance(record, Ended) for record in self.log.records):
            offered = count
        missing = min(unsent, max(0, round(offered - count)))
        return Flow(sum(time.length_s for time in times), sum(map(self.sent_within, times)), offered, missing)

    def sent_within(self, within: Window) -> float:
        """Returns how many creates were sent in a part of the run; of one that was retried the first attempt alone."""
        return begun_within(self.health, within)

    @cached_property
    def samples(self) -> dict[str, KeptRequests]:
        """The slowest requests of each step, and some drawn by chance, of all workers together."""
        found = [sample for interval in self.results for sample in interval.samples]
        return {
            step: KeptRequests.of([sample for sample in found if sample.step == step])
            for step in sorted({sample.step for sample in found}, key=place_of)
        }

    @cached_property
    def series(self) -> list[Second]:
        """One row a second, of all phases."""
        return self.course.seconds.rows(self.window)

    @cached_property
    def course(self) -> Course:
        """How the run went, all phases."""
        return Course(self.marks).add_all(self.results, self.health)

    # -- in figures --

    def requests_of(self, figures: Figures) -> Requests:
        """Returns the figures of one step, variant or target as reports state them."""
        return Requests(
            count=figures.count,
            ok=figures.ok,
            errors=figures.errors,
            response_ms=statistics(figures.response),
            service_ms=statistics(figures.service),
            lateness_ms={} if self.plan.model == CLOSED else statistics(figures.lateness),
            unsupported=unsupported(figures.ok),
            failed_response_ms=statistics(figures.failed_response),
            failed_unsupported=unsupported(figures.failed),
        )

    @cached_property
    def summary(self) -> Summary:
        """The core of summary.json."""
        plan, counts, of_time = self.plan, self.counts, self.window.length_s
        return Summary(
            plan=plan.name,
            target=self.manifest.target,
            account=plan.account,
            started=self.manifest.started,
            model=plan.model,
            seed=plan.seed,
            workers=self.log.workers or plan.workers,
            arrivals=plan.schedule,
            users=plan.most_users,
            consumers=plan.consumers,
            mix=plan.mix,
            duration_s=round(of_time, 3),
            warmup_s=plan.warmup_s,
            # The closed model offers no rate: users ask again when answered, so nothing can stay unsent.
            offered_rate=rate(self.create.count + counts.unsent, of_time) if self.is_open else None,
            achieved_rate=self._achieved_rate,
            unsent=counts.unsent,
            backlog_highest=highest_together(self.measured_health, "backlog"),
            in_flight_highest=highest_together(self.measured_health, "in_flight"),
            steps={name: self.requests_of(figures) for name, figures in self.steps.items()},
            variants={name: self.requests_of(figures) for name, figures in self.variants.items()},
            stages={mark.name: self._stage(mark) for mark in self.marks if not (mark.warmup or mark.target)},
            retries=summarise_retries(self.results, self.totals, plan.retry),
            counts=counts,
            ledger=self.received,
            left_open=sum(record.left_open for record in self.log.records if isinstance(record, Ended)),
            generator=self.generator,
            notes=self.notes,
        )

    @cached_property
    def notes(self) -> list[str]:
        """What a reader must know beside the figures."""
        both = "the run fired at two targets in turns: all figures are of both together, but for those of A against B"
        of_run = [record.text for record in self.log.records if isinstance(record, Note)]
        near = None if self.generator.ceiling_at_least else near_ceiling(self.generator.ceiling_share)
        return [*self.manifest.notes, *([both] if self.plan.target_b else []), *of_run, *([near] if near else [])]

    def _stage(self, mark: StageMark) -> StageRequests:
        figures = self.stages.get(mark.name) or Figures.merged([])
        within = self._time_of(mark)
        # Exact where every arrival was sent; the stage of one that was not is known to the second only.
        offered = risen(self.health, within, "offered") if self.counts.unsent else figures.count
        return StageRequests(
            from_rate=mark.from_rate,
            to_rate=mark.to_rate,
            duration_s=round(within.length_s, 3),
            offered_rate=rate(offered, within.length_s) if self.is_open else None,
            achieved_rate=rate(self.sent_within(within), within.length_s),
            count=figures.count,
            ok=figures.ok,
            errors=figures.errors,
            response_ms=statistics(figures.response),
            service_ms=statistics(figures.service),
            lateness_ms=statistics(figures.lateness),
            unsupported=unsupported(figures.ok),
        )

    @cached_property
    def _achieved_rate(self) -> float | None:
        count = self.sent_within(self.window) if self.is_open else self.create.count
        return rate(count, self.window.length_s)

    @cached_property
    def generator(self) -> Generator:
        """What the load generator itself used."""
        return Generator.of(
            self.measured_health,
            memory_bytes=int(self.health.highest(self.health["memory_bytes"]).sum()),
            lateness_p99_ms=statistics(self.create.all_lateness).get("p99"),
            **self._ceiling(),
        )

    def _ceiling(self) -> dict[str, Any]:
        if self._achieved_rate is None:
            return {}
        # The rate of creates counts each conversation once, which is its first request.
        others = sum(figures.count for step, figures in self.steps.items() if step not in {CREATE, FIRST})
        made = round(self._achieved_rate + others / self.window.length_s, 3)
        known = self.manifest.ceiling
        if known is None:
            return {"requests_per_s": made}
        ceiling = known.of_workers(self.plan.workers)
        return {
            "requests_per_s": made,
            "ceiling_per_s": round(ceiling, 3),
            "ceiling_share": round(made / ceiling, 4) if ceiling else None,
            "ceiling_measured": known.measured[:10],
            "ceiling_at_least": known.at_least,
        }


def plan_facts(manifest: Manifest) -> PlanFacts:
    """Reads the plan in a manifest; raises RunLogError with all that is wrong with it."""
    mistakes = find_mistakes(manifest.plan, PlanFacts)
    if mistakes:
        raise RunLogError(*(f"the manifest's plan: {mistake}" for mistake in mistakes))
    return msgspec.convert(manifest.plan, PlanFacts)
