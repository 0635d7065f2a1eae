"""Decides on a run: the one verdict that follows from its gates and its validity."""

import msgspec

from convload.contract.steps import CREATE
from convload.errors import ExitCode
from convload.judging.gate_result import FAIL, INCONCLUSIVE, PASS, GateResult
from convload.judging.validity import Validity
from convload.results.histogram import short
from convload.results.runlog import Aborted
from convload.results.summary import Summary

INTERRUPTED = "interrupted"


class Verdict(msgspec.Struct, frozen=True):
    """pass, fail, inconclusive or interrupted, with its reasons; `text` says it to a person in a sentence."""

    outcome: str
    exit_code: ExitCode
    reasons: list[str]
    text: str


class Compared(msgspec.Struct, frozen=True):
    """What a run at two targets adds to its verdict: why it fails, why nothing can be told, a sentence."""

    failed: list[str]
    undecided: list[str]
    text: str


def decide(
    summary: Summary,
    gates: list[GateResult],
    validity: Validity,
    *,
    interrupted: bool,
    aborted: Aborted | None = None,
    compared: Compared | None = None,
) -> Verdict:
    """Returns the first that applies: interrupted, invalid, stopped early, a failed gate, an undecided gate, pass.

    With two targets the comparison follows the gates: B regressed fails, nothing told is inconclusive. An A that is
    broken (its gate is undecided) comes before: nothing can be held against it.
    """
    failed = [gate.message for gate in gates if gate.outcome == FAIL]
    if interrupted:
        measured = f"{short(summary.duration_s, 7)} s of measuring"
        text = f"Interrupted after {measured}: what was measured is kept, no verdict follows."
        reasons = ["the run was interrupted", *validity.reasons]
        return Verdict(INTERRUPTED, ExitCode.INTERRUPTED, reasons, text)
    if not validity.valid:
        return _because(INCONCLUSIVE, ExitCode.INCONCLUSIVE, validity.reasons)
    if aborted is not None:
        reason = f"stopped early at {aborted.at_s:,.1f} s by abort_when: {aborted.text}"
        return _because(FAIL, ExitCode.GATE_FAILED, [reason, *failed])
    return _judged(summary, failed, gates, compared, validity.unproven)


def _judged(
    summary: Summary, failed: list[str], gates: list[GateResult], compared: Compared | None, unproven: list[str]
) -> Verdict:
    """Returns the verdict of a run that supports one; nothing passes where a part of the load is `unproven`."""
    undecided = unproven + [gate.message for gate in gates if gate.outcome == INCONCLUSIVE]
    if not (failed or undecided) and compared is not None:
        failed, undecided = compared.failed, compared.undecided
    if failed:
        return _because(FAIL, ExitCode.GATE_FAILED, failed)
    if undecided or not gates:
        return _because(INCONCLUSIVE, ExitCode.INCONCLUSIVE, undecided or ["there is no gate to judge by"])
    said = _pass_text(summary, gates) if compared is None else f"Pass: {compared.text}."
    return Verdict(PASS, ExitCode.PASS, [], said)


def _because(outcome: str, exit_code: ExitCode, reasons: list[str]) -> Verdict:
    more = len(reasons) - 1
    others = f" (and {more} more reason{'s' if more > 1 else ''})" if more else ""
    return Verdict(outcome, exit_code, reasons, f"{outcome.capitalize()}: {reasons[0].rstrip('.')}{others}.")


def _pass_text(summary: Summary, gates: list[GateResult]) -> str:
    create = summary.steps.get(CREATE)
    held = f"the gate {gates[0].gate} holds" if len(gates) == 1 else f"all {len(gates)} gates hold"
    if len(gates) > 1 and all(gate.builtin for gate in gates):
        held = f"{gates[0].gate} holds for each of {len(gates)} steps"
    offered = f" of {summary.offered_rate:,.1f} offered" if summary.offered_rate is not None else ""
    if create is None:
        return f"Pass: {held}."
    return (
        f"Pass: {held}; {create.ok:,} of {create.count:,} conversations were created "
        f"in {short(summary.duration_s, 7)} s ({summary.achieved_rate:,.1f}{offered} requests/s)."
    )
