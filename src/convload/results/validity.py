"""Finds the reasons why a run supports no verdict, whatever its figures say."""

import msgspec

from convload.results import load_rules, record_rules
from convload.results.limits import ReasonName
from convload.results.measured import Measured, plan_facts
from convload.results.runlog import RunLog
from convload.results.series import Second
from convload.results.summary import Summary
from convload.results.trend import examine_steadiness


class Reason(msgspec.Struct, frozen=True):
    """A reason by its stable name; one that the plan waives is told and does not invalidate."""

    name: ReasonName
    text: str
    waived: bool


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
    named = [Reason(finding.name, finding.text, finding.name in limits.waive) for finding in found]
    reasons = [reason.text for reason in named if not reason.waived]
    return Validity(not reasons, reasons, named, steadiness.left_out)
