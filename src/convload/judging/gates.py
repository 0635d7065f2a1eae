"""Judges a run by gates.

A gate passes when the bound towards its limit meets it, fails when the other bound breaks it, and is inconclusive
between; without a sample it never passes. Counts, and the rates made of them, are judged as they are: they say what
happened in this run, and nothing is inferred from them.
"""

from collections.abc import Callable, Sequence
from operator import eq, ge, gt, le, lt

import msgspec

from convload.errors import RunLogError
from convload.judging.estimates import Estimate, Sureness, estimate, samples_needed
from convload.judging.gate_result import FAIL, INCONCLUSIVE, PASS, GateResult
from convload.judging.windows import allowed_misses, confidences, split
from convload.judging.wording import Finding, tell, tell_windows
from convload.plan.facts import PlanFacts
from convload.plan.gate import Gate, Subject, Vocabulary, Windows, WrittenGate
from convload.plan.gate_grammar import parse_all
from convload.plan.gate_names import SHARE, UNITS
from convload.plan.schedule import StageMark
from convload.results.measured import Totals
from convload.results.run import Run

CONFIDENCE = 0.99

BUILT_IN = "errors <= 1%"
_BUILT_IN_LIMIT_PERCENT = 1.0

EXTENSIONS = 4
"""How often a run that may be extended is judged again after its planned end, in equal parts of the extension."""

SHORTEST_PART_S = 2.0
"""A shorter part would be over before what was measured in it is known."""

_COMPARE: dict[str, Callable[[float, float], bool]] = {"<": lt, "<=": le, ">": gt, ">=": ge, "==": eq}


class Held(msgspec.Struct, frozen=True):
    """What a figure is held against, in the unit of its quantity; `low` and `high` bound a baseline's limit."""

    value: float | None
    low: float | None
    high: float | None


def judge_plan(run: Run, baseline: Totals | None = None) -> list[GateResult]:
    """Judges by the gates of the plan in a run log, or by the built-in one.

    Raises:
        RunLogError: the plan's gates are none.
    """
    gates = gates_of(run.plan)
    if not gates:
        return [judge_built_in(run.totals)]
    return judge(run, gates, baseline=baseline, confidence=confidence_of(run.plan))


def gates_of(plan: PlanFacts) -> list[Gate]:
    """Parses the gates of the plan in a run log; raises RunLogError with all that is wrong with them."""
    gates, problems = parse_all([WrittenGate("the manifest's plan", text) for text in plan.gates], Vocabulary())
    if problems:
        raise RunLogError(*problems)
    return gates


def confidence_of(plan: PlanFacts) -> float:
    """Returns the confidence of one look at a run.

    A run that may go on until it is decided is looked at several times, and each look is another chance of a wrong
    decision. With k looks each at 1 - (1 - c)/k, the chance that any of them is wrong is at most 1 - c (Bonferroni).
    """
    looks = 1 + EXTENSIONS if plan.extend_s else 1
    return 1 - (1 - plan.confidence) / looks


def look_times_s(plan: PlanFacts) -> list[float]:
    """Returns when a run that may be extended is judged, in seconds from its start: from its planned end on.

    A short extension has fewer parts. It is judged at the same confidence, which then holds all the more.
    """
    ends_s = plan.warmup_s + (plan.duration_s or 0.0)
    parts = min(EXTENSIONS, max(1, int(plan.extend_s / SHORTEST_PART_S)))
    return [ends_s + n * plan.extend_s / parts for n in range(parts + 1)] if plan.extend_s else [ends_s]


def extension_rate(stages: Sequence[StageMark]) -> float:
    """Returns the arrivals a second at which an open run goes on: those of the last stage that is no pause."""
    rates = (mark.to_rate or mark.from_rate for mark in reversed(stages))
    return next((rate for rate in rates if rate), 0.0)


def judge(
    run: Run, gates: Sequence[Gate], *, baseline: Totals | None = None, confidence: float = CONFIDENCE
) -> list[GateResult]:
    """Returns the result of each gate; the run may still go on.

    Args:
        run: what was measured.
        gates: as they were parsed.
        baseline: figures of the run that gates compare with.
        confidence: of each decision; of one look, where a run is judged again and again.
    """
    return [judge_one(gate, run, baseline, confidence) for gate in gates]


def judge_one(gate: Gate, run: Run, baseline: Totals | None, confidence: float) -> GateResult:
    """Returns the result of one gate."""
    if gate.needs_baseline:
        return _against_baseline(gate, run, baseline, confidence)
    limit = gate.limit.constant * UNITS[gate.limit.unit].scale
    held = Held(limit, limit, limit)
    if gate.windows is not None:
        return _by_windows(gate, gate.windows, run, held, confidence)
    return _result(gate, _find(gate, run.totals, held, Sureness(confidence, confidence)), confidence)


def judge_totals(gate: Gate, totals: Totals, confidence: float) -> GateResult:
    """Returns what one gate says of some totals, whatever windows it asks for."""
    limit = gate.limit.constant * UNITS[gate.limit.unit].scale
    return _result(gate, _find(gate, totals, Held(limit, limit, limit), Sureness(confidence, confidence)), confidence)


def _against_baseline(gate: Gate, run: Run, baseline: Totals | None, confidence: float) -> GateResult:
    """Judges with bounds on both sides, each at (1 + c)/2.

    A wrong decision needs one of the two bounds to be wrong, so its chance is at most 2 · (1 - c)/2 = 1 - c, whether or
    not the runs are independent of each other. A pass is a new figure whose bound meets even the limit that the most
    demanding baseline would set; a fail breaks even that of the least demanding one.
    """
    each = (1 + confidence) / 2
    sure = Sureness(each, each)
    if baseline is None:
        return _result(gate, Finding(INCONCLUSIVE, Estimate(), None, why="there is no baseline to compare with"), each)
    known = estimate(gate.subject, gate.quantity, baseline, sure)
    constant = gate.limit.constant * UNITS[gate.limit.unit].scale
    limits = (None if x is None else gate.limit.factor * x + constant for x in (known.value, known.low, known.high))
    held = Held(*limits)
    if held.value is None:
        return _result(gate, Finding(INCONCLUSIVE, Estimate(), None, why="the baseline has no sample of it"), each)
    finding = _find(gate, run.totals, held, sure)
    return _result(gate, msgspec.structs.replace(finding, baseline=known, held=(held.low, held.high)), each)


def _find(gate: Gate, totals: Totals, held: Held, sure: Sureness) -> Finding:
    found = estimate(gate.subject, gate.quantity, totals, sure)
    outcome = compare(gate.operator, found, held)
    needed = None
    if outcome == INCONCLUSIVE and held.value is not None and not found.exact:
        needed = samples_needed(gate.subject, gate.operator, found, held.value, sure)
    return Finding(outcome, found, held.value, needed)


def compare(operator: str, found: Estimate, held: Held) -> str:
    """Returns the outcome: pass and fail are each drawn from the bounds that make them hardest to reach."""
    meets = _COMPARE[operator]
    if operator == "==":
        return (
            INCONCLUSIVE if found.value is None or held.value is None else PASS if found.value == held.value else FAIL
        )
    below = operator in {"<", "<="}
    good, hard = (found.high, held.low) if below else (found.low, held.high)
    bad, easy = (found.low, held.high) if below else (found.high, held.low)
    if good is not None and hard is not None and meets(good, hard):
        return PASS
    return FAIL if bad is not None and easy is not None and not meets(bad, easy) else INCONCLUSIVE


def _by_windows(gate: Gate, windows: Windows, run: Run, held: Held, confidence: float) -> GateResult:
    totals = split(run, windows.length_s, gate.subject.stage)
    if not totals:
        why = f"no whole window of {windows.length_s:g} s was measured"
        return _result(gate, Finding(INCONCLUSIVE, Estimate(), held.value, why=why), confidence)
    misses = allowed_misses(windows, len(totals))
    to_pass, to_fail = confidences(len(totals), misses, confidence)
    below = gate.operator in {"<", "<=", "=="}
    sure = Sureness(to_fail, to_pass) if below else Sureness(to_pass, to_fail)
    # A window is a part of its stage already, and its one flow is that of all.
    inner = msgspec.structs.replace(gate, subject=_without_stage_of_flow(gate.subject))
    findings = [_find(inner, one, held, sure) for one in totals]
    return _result(gate, tell_windows(gate, windows, findings, misses), confidence)


def _without_stage_of_flow(subject: Subject) -> Subject:
    return subject if subject.measure == "time" else msgspec.structs.replace(subject, stage="")


def _result(gate: Gate, finding: Finding, confidence: float) -> GateResult:
    scale, found = UNITS[gate.limit.unit].scale, finding.found
    value, low, high, limit = (
        None if figure is None else round(figure / scale, 4)
        for figure in (found.value, found.low, found.high, finding.limit)
    )
    return GateResult(
        gate=gate.text,
        outcome=finding.outcome,
        value=value,
        low=low,
        high=high,
        limit=limit,
        unit=gate.limit.unit,
        builtin=False,
        message=tell(gate, finding, confidence),
        samples=found.samples,
        needed=finding.needed.samples if finding.needed else None,
        confidence=confidence,
        exact=found.exact,
    )


def judge_built_in(totals: Totals) -> GateResult:
    """Judges a run whose plan has no gate of its own: by what was counted, so that a short run gets an answer too.

    Nobody asked for a claim about the target at large; the bounds beside the value say how far it may be off.
    """
    (gate,), _ = parse_all([WrittenGate("", BUILT_IN)], Vocabulary())
    found = estimate(gate.subject, SHARE, totals, Sureness(CONFIDENCE, CONFIDENCE))
    limit = _BUILT_IN_LIMIT_PERCENT
    point = Estimate(found.value, found.value, found.value, found.samples)
    outcome = compare(gate.operator, point, Held(limit, limit, limit))
    finding = Finding(outcome, found, limit)
    result = _result(gate, finding, CONFIDENCE)
    return msgspec.structs.replace(result, builtin=True, message=_built_in_message(found, totals))


def _built_in_message(found: Estimate, totals: Totals) -> str:
    if found.value is None:
        return "no create request was measured, so there is nothing to judge"
    unsent = totals.flows[""].unsent or 0
    count = found.samples or 0
    failed = found.hits - unsent
    said = f"{failed:,} of {count:,} create requests failed"
    if unsent:
        said = f"{found.hits:,} of {count:,} arrivals came to nothing: {failed:,} failed, {unsent:,} were never sent"
    return (
        f"{said}: {found.value:.3g} % (at {100 * CONFIDENCE:g} % confidence {found.low:.3g} % to {found.high:.3g} %); "
        f"at most {_BUILT_IN_LIMIT_PERCENT:g} % is allowed; the point value decides"
    )
