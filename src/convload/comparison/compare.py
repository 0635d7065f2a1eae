"""Compares a base with something new: one run a side, or repeated runs."""

import math
from collections.abc import Sequence

import msgspec

from convload.comparison.batches import FEWEST_BATCHES, Batch, Clock
from convload.comparison.outcomes import IMPROVED, REGRESSED, SAME, UNKNOWN, Difference, Minimum, Rule
from convload.comparison.power import FOUND, seconds_needed, tail_samples
from convload.comparison.repeated import compare_repeats, smallest_p
from convload.comparison.samples import TIMES, Sample
from convload.comparison.sides import Compared, KeptRun, RunFacts, likeness
from convload.comparison.within import compare_batches
from convload.contract.steps import CREATE
from convload.errors import ExitCode, UsageError
from convload.judging.alike import Likeness, Unlikeness
from convload.results.histogram import short

FORMAT = "convload/comparison/1"

WITHIN, BETWEEN = "within runs", "between runs"

CONFIDENCE = {WITHIN: 0.99, BETWEEN: 0.95}
"""Of all statistics together. Between runs it is what four runs a side can reach."""

_NOTES = {
    WITHIN: "One run a side: the comparison knows how seconds vary within a run, and nothing of how runs vary among "
    "themselves. What a restart changes by itself can look like a difference; repeat both sides (--base, --new) "
    "to rule that out.",
    BETWEEN: "Repeated runs: a difference is told by the order of whole runs (Mann-Whitney U), so what a restart "
    "changes by itself is part of the noise. It takes for granted that the runs of both sides were made in turns.",
}


class Comparison(msgspec.Struct, frozen=True):
    """What is different between two sides, and whether that is a regression; comparison.json holds it as it is.

    `text` says it in a sentence. `unlike` is not empty only where unlike runs were compared by force.
    """

    format: str
    outcome: str
    exit_code: ExitCode
    text: str
    method: str
    clock: Clock
    confidence: float
    minimum: Minimum
    base: list[RunFacts]
    new: list[RunFacts]
    unlike: list[Unlikeness]
    notes: list[str]
    differences: list[Difference]


class UnsoundError(UsageError):
    """A run supports no statement; it may be repeated, or compared by force."""

    exit_code = ExitCode.INCONCLUSIVE


def compare(
    base: Sequence[Compared],
    new: Sequence[Compared],
    *,
    confidence: float | None = None,
    minimum: Minimum | None = None,
    clock: Clock = "response",
    force: bool = False,
) -> Comparison:
    """Compares two sides of one or several runs each; `force` compares unlike and unsound runs too, and says so.

    Raises:
        UsageError: the runs are unlike.
        UnsoundError: a run was interrupted, aborted, cut off, or is not valid.
    """
    alike = _likeness([*base, *new])
    if not force:
        _refuse([*base, *new], alike)
    method = WITHIN if len(base) == len(new) == 1 else BETWEEN
    rule = Rule(confidence or CONFIDENCE[method], minimum or Minimum())
    sides = [[run.batches(clock) for run in side] for side in (base, new)]
    if method == WITHIN:
        differences = compare_batches(sides[0][0], sides[1][0], rule)
        plan = _length(sides[0][0], rule)
    else:
        differences, plan = compare_repeats(sides[0], sides[1], rule), []
    outcome, exit_code, text = conclude_differences(differences, rule.minimum)
    return Comparison(
        format=FORMAT,
        outcome=outcome,
        exit_code=exit_code,
        text=text,
        method=method,
        clock=clock,
        confidence=rule.confidence,
        minimum=rule.minimum,
        base=[run.facts for run in base],
        new=[run.facts for run in new],
        unlike=[one for found in alike.values() for one in found.unlike],
        notes=[*_notes(base, new, method, alike), *plan],
        differences=differences,
    )


def conclude_differences(differences: list[Difference], minimum: Minimum) -> tuple[str, ExitCode, str]:
    """Returns what follows from all differences together, the exit code and the sentence.

    Where most statistics cannot be told, that is the sentence: that nothing was found does not mean much then.
    """
    outcomes = (REGRESSED, IMPROVED, SAME, UNKNOWN)
    by_outcome = {outcome: [one for one in differences if one.outcome == outcome] for outcome in outcomes}
    changed = [outcome for outcome in (REGRESSED, IMPROVED) if by_outcome[outcome]]
    lacking, count = by_outcome[UNKNOWN], len(differences)
    if not differences or len(lacking) == count:
        why = _lacking(lacking) if lacking else "nothing was measured"
        return UNKNOWN, ExitCode.INCONCLUSIVE, f"Cannot tell anything: {why}."
    if changed:
        named = "; ".join(f"{outcome}: {_named(by_outcome[outcome])}" for outcome in changed)
        left = f"; cannot tell of {len(lacking)} of {count} statistics" if lacking else ""
        code = ExitCode.GATE_FAILED if REGRESSED in changed else ExitCode.PASS
        return changed[0], code, f"Different: {named}{left}."
    within = f"the same within {_size(minimum)}"
    if 2 * len(lacking) > count:
        same = ", ".join(f"{one.step} {one.statistic}" for one in by_outcome[SAME])
        text = f"Cannot tell of {len(lacking)} of {count} statistics: {_lacking(lacking)}; {within}: {same}."
        return UNKNOWN, ExitCode.PASS, text
    left = f"; cannot tell of {len(lacking)} of {count} statistics: {_lacking(lacking)}" if lacking else ""
    return "same", ExitCode.PASS, f"{within[0].upper()}{within[1:]}{left}."


def _size(minimum: Minimum) -> str:
    return f"{100 * minimum.relative:g} % ({minimum.absolute_ms:g} ms, {minimum.errors_points:g} points of errors)"


def _lacking(unknown: list[Difference]) -> str:
    """Says what is missing to tell: what the create request needs, or else what any step does."""
    needs = [one for one in unknown if one.more_samples]
    of_create = [one for one in needs if one.step == CREATE] or needs
    if not of_create:
        return f"of {unknown[0].step} {unknown[0].statistic}, {unknown[0].why}"
    return f"too few samples, about {max(one.more_samples or 0 for one in of_create):,} more a side would do"


def _named(differences: list[Difference]) -> str:
    """Names the differences, the first of them with its size; a share of errors has none relative to the base."""
    names = [f"{one.step} {one.statistic}" for one in differences]
    first = differences[0]
    if first.relative is None or first.statistic == "errors":
        unit = "percentage points" if first.statistic == "errors" else first.unit
        names[0] += f" {short(first.difference or 0.0, sign='+')} {unit}"
    else:
        names[0] += f" {first.relative:+.1%}"
    return ", ".join(names)


def _likeness(runs: list[Compared]) -> dict[str, Likeness]:
    """Returns how like the first run of the base each other one is, by its folder."""
    first, *others = runs
    return {run.folder: likeness(first, run) for run in others}


def _refuse(runs: list[Compared], alike: dict[str, Likeness]) -> None:
    unlikes = [f"{folder}: is unlike the base: {one}" for folder, found in alike.items() for one in found.unlike]
    unsounds = [f"{run.folder}: {reason}" for run in runs for reason in run.facts.unsound]
    if unlikes:
        raise UsageError(*unlikes, *unsounds, _ONLY_LIKE)
    if unsounds:
        raise UnsoundError(*unsounds, _ONLY_SOUND)


_ONLY_LIKE = (
    "only runs of the same plan, payloads, mix, model, kind of target and class of machine are compared; "
    "--force compares them all the same and shows what differs"
)
_ONLY_SOUND = "such a run is no evidence; repeat it, or compare it all the same with --force"


def _notes(base: Sequence[Compared], new: Sequence[Compared], method: str, alike: dict[str, Likeness]) -> list[str]:
    notes = [_NOTES[method]]
    if method == BETWEEN:
        reach = smallest_p(len(base), len(new))
        notes.append(f"{len(base)} and {len(new)} runs: the smallest p that they can reach is {short(reach, 2)}.")
    found = dict.fromkeys(note for other in alike.values() for note in other.notes)
    return [*notes, *(f"{text[0].upper()}{text[1:]}." for text in found), *_same(base, new)]


def _length(base: dict[str, list[Batch]], rule: Rule) -> list[str]:
    sample = Sample(base.get(CREATE, []))
    if len(sample.batches) < FEWEST_BATCHES or sample.times.count < tail_samples(TIMES["p99"], rule.each(1)):
        return []
    needed_s = seconds_needed(sample, "p99", rule, steps=len(base))
    wanted = f"find a difference of {100 * FOUND:g} % in the p99 of {CREATE} nine times in ten"
    if needed_s == math.inf:
        return [f"No run is long enough to {wanted}: the minimum that counts is as large."]
    least = f"it takes runs of at least {needed_s:,.0f} s each to {wanted}"
    return [f"By the base, {least}; it measured {sample.length_s:,.0f} s."]


def _same(base: Sequence[Compared], new: Sequence[Compared]) -> list[str]:
    twice = [run.folder for run in new if any(_is_same(run, other) for other in base)]
    return [f"{folder} is on both sides: it is compared with itself." for folder in twice]


def _is_same(one: Compared, other: Compared) -> bool:
    if isinstance(one, KeptRun) or isinstance(other, KeptRun):
        return one.facts.started == other.facts.started
    return one.log == other.log
