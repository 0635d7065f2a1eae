"""Calibration runs: what may be judged by them against a baseline of another kind of machine, and what may not."""

from typing import Any

import msgspec

from convload.judging.alike import compare_kinds, machine_differences
from convload.judging.baseline import Baseline, merged

TOLERANCE = 1.05
"""Of the rate of a calibration run: Poisson arrivals come out a little above or below it."""


def why_not(baseline: Baseline, machine: dict[str, Any], known: Baseline | None) -> str:
    """Says why a baseline of another kind of machine cannot be judged by ratio; "" where it can.

    Args:
        baseline: with the calibration run of its own machine, if there is one.
        machine: the facts of the one that the new run is of.
        known: the calibration run of this machine, if there is one.
    """
    kind, own = baseline.identity.kind, next(iter(baseline.calibrations), None)
    if baseline.identity.target != "mock":
        return "its target is not the embedded mock: how fast a generator is says nothing of another target"
    if kind is None or own is None or own.identity.kind is None:
        return "no calibration run was kept with it (`convload baseline calibrate` before `save`)"
    if _is_other(own, kind.machine):
        return "the calibration run that was kept with it is of another kind of machine"
    if (baseline.flows[""].achieved_rate or 0) > TOLERANCE * (own.flows[""].achieved_rate or 0):
        return "it fired more than its calibration run: how long requests wait for each other is not known from that"
    if known is None or known.identity.kind is None or _is_other(known, machine):
        return "there is no calibration run of this machine (`convload baseline calibrate` makes one)"
    found = compare_kinds(own.identity.kind, known.identity.kind)
    unlike = [one.sentence("there", "here") for one in found.unlike if one.kind != "machine"]
    if own.identity.kind.versions != known.identity.kind.versions:
        unlike.append("they were made with other versions, whose own speed is a part of what is judged")
    return f"the calibration runs are unlike: {unlike[0]}" if unlike else ""


def _is_other(run: Baseline, machine: dict[str, Any]) -> bool:
    kind = run.identity.kind
    return kind is None or bool(machine_differences(kind.machine, machine))


def with_own(baseline: Baseline, known: Baseline | None) -> Baseline:
    """Returns a baseline with the calibration run of its machine, where `known` is one."""
    kind = baseline.identity.kind
    if kind is None or known is None or _is_other(known, kind.machine):
        return baseline
    return msgspec.structs.replace(baseline, calibrations=[small(known)])


def small(run: Baseline) -> Baseline:
    """Returns what a calibration run is asked for: the figures of its steps as wholes."""
    return msgspec.structs.replace(run, parts=merged(run.totals()), pieces={})


def machine_sentence(baseline: Baseline) -> str:
    """Says in what the machine of a baseline that is judged by ratio differs from that of the new run."""
    kinds = [run.identity.kind for run in baseline.calibrations]
    there, here = ({} if kind is None else kind.machine for kind in kinds)
    what = ", ".join(f"{one.what} {one.base} there and {one.new} here" for one in machine_differences(there, here))
    when = " and ".join(run.identity.started[:16].replace("T", " ") for run in baseline.calibrations)
    return (
        f"Judged by ratio: the baseline is of another kind of machine ({what}); what that makes of a time is taken "
        f"from calibration runs ({when}) and allowed for in the limits"
    )
