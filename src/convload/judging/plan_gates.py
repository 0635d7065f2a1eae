"""Judges a run by the gates of its plan, or by built-in ones where it has none; says when, and how surely."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import msgspec

from convload.contract.outcomes import OK
from convload.contract.steps import ATTEMPTS, CREATE
from convload.errors import RunLogError
from convload.judging.dependence import INDEPENDENT, dependence_of
from convload.judging.estimates import Confidences, Estimate, estimate, fixed
from convload.judging.gate_result import FAIL, INCONCLUSIVE, Finding, GateResult, result_of
from convload.judging.gates import CONFIDENCE, compare, judge
from convload.judging.standstill import fail_by_standstill, standstills
from convload.plan.facts import PlanFacts
from convload.plan.gate import Gate, Limit, Operator, Subject, Vocabulary, WrittenGate, write
from convload.plan.gate_grammar import parse_all
from convload.plan.gate_names import SHARE
from convload.plan.schedule import StageMark
from convload.results.histogram import short
from convload.results.measured import Flow, Totals
from convload.results.run import Run

BUILT_IN = Limit(1.0, "%")
"""Of the requests of each step, as many may fail."""

_NEVER = Limit(100.0, "%")

EXTENSIONS = 4
"""How often a run that may be extended is judged again after its planned end, in equal parts of the extension."""

SHORTEST_PART_S = 2.0
"""A shorter part would be over before what was measured in it is known."""

_BASE = "A"


def judge_plan(run: Run, baseline: Totals | None = None) -> list[GateResult]:
    """Judges by the gates of the plan in a run log, or by built-in ones, and each step by whether it ever succeeded.

    Raises:
        RunLogError: the plan's gates are none.
    """
    gates = gates_of(run.plan)
    if gates:
        found, stood = judge(run, gates, baseline=baseline, confidence=confidence_of(run.plan)), standstills(run)
        results = [fail_by_standstill(*one, stood) for one in zip(gates, found, strict=True)]
        spoken_of = {gate.subject.step for gate in gates if gate.subject.measure == "errors"}
    else:
        results, spoken_of = judge_built_in(run.totals, run.steps, run), {CREATE, *run.steps}
    return results + [_never(step, outcomes) for step, outcomes in _failed_throughout(run) if step not in spoken_of]


def _failed_throughout(run: Run) -> Iterator[tuple[str, Counter[str]]]:
    """Yields the steps that were called and never once succeeded, in any phase of the run."""
    for step in sorted(run.outcomes.keys() - set(ATTEMPTS)):
        if not run.outcomes[step][OK]:
            yield step, run.outcomes[step]


def _never(step: str, outcomes: Counter[str]) -> GateResult:
    """Returns what is said of a step that failed whenever it was called: it is broken, or the plan is."""
    gate = _on_errors(step, "<", _NEVER)
    found = fixed(100.0, outcomes.total())
    result = result_of(gate, Finding(FAIL, found, fixed(_NEVER.constant)), CONFIDENCE)
    kinds = ", ".join(f"{kind} ({count:,})" for kind, count in outcomes.most_common())
    count = f"{outcomes.total():,}"
    message = f"{count} of {count} {_called(step)} requests failed, not one succeeded: {kinds}"
    return msgspec.structs.replace(result, builtin=True, message=message)


def _called(step: str) -> str:
    return step.removeprefix("conversation.")


def _on_errors(step: str, operator: Operator, limit: Limit) -> Gate:
    gate = Gate("", Subject("errors", step), operator, limit)
    return msgspec.structs.replace(gate, text=write(gate))


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


def judge_built_in(totals: Totals, steps: Iterable[str], run: Run | None = None) -> list[GateResult]:
    """Judges each step of a run whose plan has no gate of its own; attempts are judged by their conversations.

    By what was counted, so that a short run gets an answer too: nobody asked for a claim about the target at large, so
    there is no risk of a wrong one that several gates would add up. The bounds beside a value, each for itself, say how
    far it may be off; where a `run` is long enough to tell, they know how far its requests depend on each other.
    """
    others = (step for step in steps if step not in {CREATE, *ATTEMPTS})
    return [_judge_step(step, totals, run) for step in (CREATE, *others)]


def _judge_step(step: str, totals: Totals, run: Run | None) -> GateResult:
    gate, limit = _on_errors(step, "<=", BUILT_IN), fixed(BUILT_IN.constant)
    dependence = INDEPENDENT if run is None else dependence_of(run, gate.subject, None)
    known = INDEPENDENT if dependence.is_guessed else dependence
    found = estimate(gate.subject, SHARE, totals, Confidences(CONFIDENCE, CONFIDENCE), known)
    outcome = compare(gate.operator, fixed(found.value), limit)
    result = result_of(gate, Finding(outcome, found, limit), CONFIDENCE)
    unsent = (totals.flows[""].unsent or 0) if step == CREATE else 0
    return msgspec.structs.replace(result, builtin=True, message=_built_in_message(step, found, unsent))


def _built_in_message(step: str, found: Estimate, unsent: int) -> str:
    if found.value is None:
        return f"no {_called(step)} request was measured, so there is nothing to judge"
    count = found.samples or 0
    failed = found.hits - unsent
    said = f"{failed:,} of {count:,} {_called(step)} requests failed"
    if unsent:
        said = f"{found.hits:,} of {count:,} arrivals came to nothing: {failed:,} failed, {unsent:,} were never sent"
    low, high, sure = short(found.low or 0.0), short(found.high or 0.0), short(100 * CONFIDENCE)
    return (
        f"{said}: {short(found.value)} % (at {sure} % confidence {low} % to {high} %); "
        f"at most {short(BUILT_IN.constant)} % is allowed; the point value decides"
    )


def judge_two_targets(totals: Totals, stages: Mapping[str, Collection[str]]) -> list[GateResult]:
    """Returns the built-in gates of each of two targets on its own; `stages` names the windows of each.

    Where A fails too often nothing can be compared with it, and that is no fault of B: its gates are inconclusive then.
    Which target an arrival that was never sent would have gone to is not known; it makes the run invalid.
    """
    parts = {target: _part(totals, own) for target, own in stages.items()}
    return [
        _of_target(target, found)
        for target, part in parts.items()
        for found in judge_built_in(part, dict.fromkeys(step for step, _, _ in sorted(part.parts)))
    ]


def _of_target(target: str, found: GateResult) -> GateResult:
    result = msgspec.structs.replace(
        found, gate=f"{found.gate} ({target})", message=f"target {target}: {found.message}"
    )
    if target != _BASE or found.outcome != FAIL:
        return result
    message = f"{result.message}; B is compared with A, so a broken A says nothing of B"
    return msgspec.structs.replace(result, message=message, outcome=INCONCLUSIVE)


def _part(totals: Totals, stages: Collection[str]) -> Totals:
    parts = {key: figures for key, figures in totals.parts.items() if key[2] in stages}
    count = sum(figures.count for key, figures in parts.items() if key[0] == CREATE)
    return Totals(parts, {"": Flow(0.0, count, count, 0)})
