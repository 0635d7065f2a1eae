"""Finds the reasons why a run supports no verdict, whatever its figures say."""

import msgspec

from convload.judging import load_rules, record_rules
from convload.judging.steadiness import examine_steadiness
from convload.plan.limits import ReasonName
from convload.results.measured import Measured, plan_facts
from convload.results.runlog import RunLog
from convload.results.series import Second
from convload.results.summary import Summary

FOLLOWS_FROM_ABORT = frozenset({"too_few_samples", "unsent", "rate_missed", "not_steady"})
"""Reasons that come of stopping early, or of the very overload that a run was stopped for."""


class Reason(msgspec.Struct, frozen=True):
    """A reason by its stable name; one that the plan waives is told and does not invalidate.

    Nor does one that follows from a condition of the plan that stopped the run early.
    """

    name: ReasonName
    text: str
    waived: bool
    follows_from_abort: bool = False

    @property
    def invalidates(self) -> bool:
        """Whether the run supports no verdict because of it."""
        return not (self.waived or self.follows_from_abort)


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


def examine(log: RunLog, summary: Summary, measured: Measured, series: list[Second]) -> Validity:
    """Returns whether the run's record is whole and adds up, and whether the load was the one that was meant."""
    limits = plan_facts(log).validity
    steadiness = examine_steadiness(log, summary, series, measured.window, limits)
    found = [
        *record_rules.findings(log, summary),
        *load_rules.findings(log, summary, measured, limits),
        *steadiness.findings,
    ]
    named = [
        Reason(
            finding.name, finding.text, finding.name in limits.waive, _follows_from_abort(finding.name, log, summary)
        )
        for finding in found
    ]
    reasons = [reason.text for reason in named if reason.invalidates]
    return Validity(not reasons, reasons, named, steadiness.left_out)


def _follows_from_abort(name: ReasonName, log: RunLog, summary: Summary) -> bool:
    """Says whether a reason is no objection to the verdict of a run that was stopped early.

    Requests that start late may be the generator's fault or the target's. Where every user was busy it was the target
    that held them, and the wait is what it did to its callers.
    """
    if log.aborted is None:
        return False
    all_busy = summary.users is not None and summary.in_flight_highest >= summary.users
    return name in FOLLOWS_FROM_ABORT or (name == "late" and all_busy)
