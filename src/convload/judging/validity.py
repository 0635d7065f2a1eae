"""Finds the reasons why a run supports no verdict, whatever its figures say."""

from collections.abc import Iterable

import msgspec

from convload.judging import load_rules, record_rules
from convload.judging.generator import is_late_by_target
from convload.plan.facts import ReasonName
from convload.results.run import Run

FOLLOWS_FROM_ABORT = frozenset({"too_few_samples", "unsent", "rate_missed", "not_steady"})
"""Reasons that come of stopping early, or of the very overload that a run was stopped for."""


SHOWS_THE_TARGET = frozenset({"late", "rate_missed", "unsent"})
"""What a target that does not answer makes of a load."""


class Reason(msgspec.Struct, frozen=True):
    """A reason by its stable name; one that the plan waives is told and does not invalidate.

    Nor does one that follows from a condition of the plan that stopped the run early. One that the target made leaves
    a broken gate standing, for it is what its callers see; that one holds under another load than meant is no proof.
    """

    name: ReasonName
    text: str
    waived: bool
    follows_from_abort: bool = False
    by_target: bool = False

    @property
    def invalidates(self) -> bool:
        """Whether the run supports no verdict because of it."""
        return not (self.waived or self.follows_from_abort or self.by_target)

    @property
    def forbids_pass(self) -> bool:
        """Whether a run that does not fail is no pass either."""
        return self.by_target and not (self.waived or self.follows_from_abort)


class Validity(msgspec.Struct, frozen=True):
    """Whether a run supports a verdict, and all reasons why not.

    `named` has the waived ones too. `left_out` says which rules could not be applied, and why.
    """

    valid: bool
    reasons: list[str]
    named: list[Reason]
    left_out: list[str]

    @property
    def waived(self) -> list[Reason]:
        """The reasons that the plan waives."""
        return [reason for reason in self.named if reason.waived]

    @property
    def unproven(self) -> list[str]:
        """Why no gate that holds proves anything, although one that is broken does."""
        return [reason.text for reason in self.named if reason.forbids_pass]


def examine(run: Run) -> Validity:
    """Returns whether the run's record is whole and adds up, and whether the load was the one that was meant."""
    waive = run.plan.validity.waive
    unsteady, left_out = load_rules.examine_steadiness(run)
    found = [*record_rules.findings(run), *load_rules.findings(run), *unsteady]
    by_target = any(name in SHOWS_THE_TARGET for name, _ in found) and load_rules.are_by_target(run)
    named = [
        Reason(name, text, name in waive, _follows_from_abort(name, run), by_target and name in SHOWS_THE_TARGET)
        for name, text in found
    ]
    reasons = [reason.text for reason in named if reason.invalidates]
    return Validity(not reasons, reasons, named, left_out)


def unsound(run: Run, validity: Validity) -> list[str]:
    """Says why a run is no evidence for or against another one, empty if it is: the one rule for all who compare."""
    reasons = [*run.log.damage, *(["the run was interrupted"] if run.interrupted else [])]
    if run.log.aborted is not None:
        reasons.append(f"the run was aborted: {run.log.aborted.text}")
    if any(mark.target for mark in run.marks):
        reasons.append("the run compares two targets in turns by itself: its figures are of both")
    return reasons + [
        f"the run is not valid: {text}" for text in (*validity.reasons, *validity.unproven) if text not in reasons
    ]


def warnings_of(notes: Iterable[str], validity: Validity) -> list[str]:
    """Returns what goes along with every verdict that rests on a run: its notes, and why it would not be valid."""
    waived = (f"waived ({reason.name}): {reason.text}" for reason in validity.waived)
    return list(dict.fromkeys([*notes, *waived]))


def _follows_from_abort(name: ReasonName, run: Run) -> bool:
    """Says whether a reason is no objection to the verdict of a run that was stopped early."""
    if run.log.aborted is None:
        return False
    by_target = name == "late" and is_late_by_target(run.measured_health, run.plan.validity, run.plan.most_users)
    return name in FOLLOWS_FROM_ABORT or by_target
