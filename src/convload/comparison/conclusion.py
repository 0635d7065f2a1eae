"""Draws the conclusion of a run: all that reports are made of."""

import msgspec

from convload.comparison.outcomes import REGRESSED, UNKNOWN
from convload.comparison.two_targets import TargetComparison, compare_targets, stages_of
from convload.judging.baseline import Baseline, read_frozen
from convload.judging.gate_result import GateResult
from convload.judging.plan_gates import judge_plan, judge_two_targets
from convload.judging.settling import settling_notes
from convload.judging.validity import Validity, examine
from convload.judging.verdict import Compared, Verdict, decide
from convload.plan.schedule import StageMark
from convload.results.counting import count
from convload.results.drift import Drift, drift_notes, examine_drift
from convload.results.histogram import milliseconds
from convload.results.recovery import Recovery, find_recoveries
from convload.results.run import Run
from convload.results.runlog import Aborted, ErrorSample, Manifest, RunLog
from convload.results.series import Second
from convload.results.summary import KeptRequests, Summary

SAMPLES_A_KIND = 100
"""Kept of each error kind of a step: enough to see a pattern; counts are exact in the summary."""


class Distribution(msgspec.Struct, frozen=True):
    """Points of a percentile distribution of successful requests: percents rising, and their times."""

    step: str
    clock: str
    percents: list[float]
    ms: list[float]


class Conclusion(msgspec.Struct, frozen=True):
    """All that follows from a run log; every report is made from this alone.

    `target_comparison` is of runs at two targets.
    """

    run: Run
    manifest: Manifest
    stages: list[StageMark]
    aborted: Aborted | None
    summary: Summary
    series: list[Second]
    distributions: list[Distribution]
    gates: list[GateResult]
    validity: Validity
    verdict: Verdict
    samples: list[ErrorSample]
    baseline: Baseline | None = None
    target_comparison: TargetComparison | None = None
    drift: list[Drift] = []
    recoveries: list[Recovery] = []
    kept_requests: dict[str, KeptRequests] = {}


def conclude(log: RunLog) -> Conclusion:
    """Draws the conclusion of a run log; raises RunLogError where its plan or a histogram cannot be read."""
    run = Run(log)
    count(run)
    baseline = read_frozen(log.manifest.baseline)
    known = None if baseline is None else baseline.totals()
    targets = compare_targets(run)
    gates = (
        judge_two_targets(run.totals, {target: stages_of(log, target) for target in targets.targets})
        if targets
        else judge_plan(run, known)
    )
    validity = examine(run)
    drift = examine_drift(run)
    summary = msgspec.structs.replace(run.summary, notes=[*run.notes, *drift_notes(drift), *settling_notes(run)])
    return Conclusion(
        run=run,
        manifest=log.manifest,
        stages=run.marks,
        aborted=log.aborted,
        summary=summary,
        series=run.series,
        distributions=_distributions(run),
        gates=gates,
        validity=validity,
        verdict=decide(
            summary, gates, validity, interrupted=run.interrupted, aborted=log.aborted, compared=_compared(targets)
        ),
        samples=_samples(run),
        baseline=baseline,
        target_comparison=targets,
        drift=drift,
        recoveries=find_recoveries(run),
        kept_requests=run.samples,
    )


def _distributions(run: Run) -> list[Distribution]:
    found = []
    for step, figures in run.steps.items():
        clocks = {"response": figures.response} | ({"service": figures.service} if run.is_open else {})
        for clock, histogram in clocks.items():
            points = histogram.spectrum()
            found.append(Distribution(step, clock, [q for q, _ in points], [milliseconds(us) for _, us in points]))
    return found


def _samples(run: Run) -> list[ErrorSample]:
    kept: dict[tuple[str, str], list[ErrorSample]] = {}
    for sample in (sample for interval in run.results for sample in interval.errors):
        of_kind = kept.setdefault((sample.step, sample.outcome), [])
        if len(of_kind) < SAMPLES_A_KIND:
            of_kind.append(sample)
    return sorted((sample for of_kind in kept.values() for sample in of_kind), key=lambda sample: sample.t_s)


def _compared(targets: TargetComparison | None) -> Compared | None:
    if targets is None:
        return None
    return Compared(
        targets.reasons if targets.outcome == REGRESSED else [],
        targets.reasons if targets.outcome == UNKNOWN else [],
        targets.text,
    )
