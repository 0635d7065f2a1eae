"""Draws the conclusion of a run: figures, gates, validity, and the one verdict that follows."""

import msgspec

from convload.errors import ExitCode
from convload.results.comparison.outcomes import REGRESSED, UNKNOWN
from convload.results.comparison.turns import Turns, compare_turns, stages_of
from convload.results.drift import Drift, drift_notes, examine_drift
from convload.results.gates.baseline import thaw
from convload.results.gates.evidence import evidence
from convload.results.gates.judging import judge_plan
from convload.results.gates.results import FAIL, INCONCLUSIVE, PASS, GateResult
from convload.results.gates.turns import judge_turns
from convload.results.measured import CREATE, OPEN, Measured, intervals, measure, plan_facts, was_interrupted
from convload.results.percentiles import milliseconds
from convload.results.recovery import Recovery, find_recoveries
from convload.results.runlog import Aborted, ErrorSample, Manifest, RunLog, StageMark
from convload.results.series import Second, per_second
from convload.results.summary import Summary, summarise
from convload.results.validity import Validity, examine

INTERRUPTED = "interrupted"

SAMPLES_A_KIND = 100
"""Kept of each error kind of a step: enough to see a pattern; counts are exact in the summary."""


class Verdict(msgspec.Struct, frozen=True):
    """pass, fail, inconclusive or interrupted, with its reasons; `text` says it to a person in a sentence."""

    outcome: str
    exit_code: ExitCode
    reasons: list[str]
    text: str


class Distribution(msgspec.Struct, frozen=True):
    """Points of a percentile distribution of successful requests: percents rising, and their times."""

    step: str
    clock: str
    percents: list[float]
    ms: list[float]


class Conclusion(msgspec.Struct, frozen=True):
    """All that follows from a run log; every report is made from this alone. `turns` is of runs at two targets."""

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
    unlike_baseline: list[str] = []
    turns: Turns | None = None
    drift: list[Drift] = []
    recoveries: list[Recovery] = []


def conclude(log: RunLog) -> Conclusion:
    """Draws the conclusion of a run log.

    Raises:
        RunLogError: the manifest's plan or a histogram cannot be read.
    """
    measured = measure(log)
    summary = summarise(log, measured)
    series = per_second(log)
    baseline = thaw(log.manifest.baseline)
    known = None if baseline is None else baseline.totals()
    turns = compare_turns(log, measured)
    found = evidence(log, measured=measured)
    gates = (
        judge_turns(found.totals, {target: stages_of(log, target) for target in turns.targets})
        if turns
        else judge_plan(found, plan_facts(log), known)
    )
    validity = examine(log, summary, measured, series)
    drift = examine_drift(log, summary, series, measured.window, plan_facts(log).validity)
    summary = msgspec.structs.replace(summary, notes=[*summary.notes, *drift_notes(drift)])
    return Conclusion(
        manifest=log.manifest,
        stages=log.stages,
        aborted=log.aborted,
        summary=summary,
        series=series,
        distributions=_distributions(measured, is_open=summary.model == OPEN),
        gates=gates,
        validity=validity,
        verdict=decide(summary, gates, validity, interrupted=was_interrupted(log), aborted=log.aborted, turns=turns),
        samples=_samples(log),
        unlike_baseline=[] if baseline is None else baseline.differences,
        turns=turns,
        drift=drift,
        recoveries=find_recoveries(log, summary, series, measured.window),
    )


def decide(
    summary: Summary,
    gates: list[GateResult],
    validity: Validity,
    *,
    interrupted: bool,
    aborted: Aborted | None = None,
    turns: Turns | None = None,
) -> Verdict:
    """Returns the first that applies: interrupted, invalid, stopped early, a failed gate, an undecided gate, pass.

    With two targets the comparison follows the gates: B regressed fails, nothing told is inconclusive. An A that is
    broken (its gate is undecided) comes before: nothing can be held against it.
    """
    failed = [gate.message for gate in gates if gate.outcome == FAIL]
    if interrupted:
        measured = f"{summary.duration_s:,g} s of measuring"
        text = f"Interrupted after {measured}: what was measured is kept, no verdict follows."
        reasons = ["the run was interrupted", *validity.reasons]
        return Verdict(INTERRUPTED, ExitCode.INTERRUPTED, reasons, text)
    if not validity.valid:
        return _because(INCONCLUSIVE, ExitCode.INCONCLUSIVE, validity.reasons)
    if aborted is not None:
        reason = f"stopped early at {aborted.at_s:,.1f} s by abort_when: {aborted.text}"
        return _because(FAIL, ExitCode.GATE_FAILED, [reason, *failed])
    return _judged(summary, failed, gates, turns)


def _judged(summary: Summary, failed: list[str], gates: list[GateResult], turns: Turns | None) -> Verdict:
    """Returns the verdict of a run that supports one."""
    undecided = [gate.message for gate in gates if gate.outcome == INCONCLUSIVE]
    if not (failed or undecided) and turns is not None:
        failed = turns.reasons if turns.outcome == REGRESSED else []
        undecided = turns.reasons if turns.outcome == UNKNOWN else []
    if failed:
        return _because(FAIL, ExitCode.GATE_FAILED, failed)
    if undecided or not gates:
        return _because(INCONCLUSIVE, ExitCode.INCONCLUSIVE, undecided or ["there is no gate to judge by"])
    said = _pass_text(summary, gates) if turns is None else f"Pass: {turns.text}."
    return Verdict(PASS, ExitCode.PASS, [], said)


def _because(outcome: str, exit_code: ExitCode, reasons: list[str]) -> Verdict:
    more = len(reasons) - 1
    others = f" (and {more} more reason{'s' if more > 1 else ''})" if more else ""
    return Verdict(outcome, exit_code, reasons, f"{outcome.capitalize()}: {reasons[0].rstrip('.')}{others}.")


def _pass_text(summary: Summary, gates: list[GateResult]) -> str:
    create = summary.steps.get(CREATE)
    held = f"the gate {gates[0].gate} holds" if len(gates) == 1 else f"all {len(gates)} gates hold"
    offered = f" of {summary.offered_rate:,.1f} offered" if summary.offered_rate is not None else ""
    if create is None:
        return f"Pass: {held}."
    return (
        f"Pass: {held}; {create.ok:,} of {create.count:,} conversations were created "
        f"in {summary.duration_s:,g} s ({summary.achieved_rate:,.1f}{offered} requests/s)."
    )


def _distributions(measured: Measured, *, is_open: bool) -> list[Distribution]:
    found = []
    for step, figures in measured.steps.items():
        clocks = {"response": figures.response} | ({"service": figures.service} if is_open else {})
        for clock, histogram in clocks.items():
            points = histogram.spectrum()
            found.append(Distribution(step, clock, [q for q, _ in points], [milliseconds(us) for _, us in points]))
    return found


def _samples(log: RunLog) -> list[ErrorSample]:
    kept: dict[tuple[str, str], list[ErrorSample]] = {}
    for sample in (sample for interval in intervals(log) for sample in interval.errors):
        of_kind = kept.setdefault((sample.step, sample.outcome), [])
        if len(of_kind) < SAMPLES_A_KIND:
            of_kind.append(sample)
    return sorted((sample for of_kind in kept.values() for sample in of_kind), key=lambda sample: sample.t_s)
