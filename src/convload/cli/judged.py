"""What the verbs that judge have in common: gates and a baseline from flags, held against a plan or a log."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from convload.comparison.two_targets import too_few
from convload.errors import ExitCode, UsageError
from convload.judging import calibration
from convload.judging.alike import Likeness
from convload.judging.baseline import Baseline, Identity, freeze, identity_of, likeness, load
from convload.judging.forecast import plan_warnings
from convload.payloads.catalogue import Catalogue, default_folder
from convload.plan.facts import PlanFacts
from convload.plan.gate import Gate, WrittenGate
from convload.plan.gate_keys import parsed, read_gates_file
from convload.plan.plan import Plan, marks
from convload.plan.schedule import StageMark
from convload.report.document import visible
from convload.report.runner import defused
from convload.run import calibrating
from convload.run.files import manifest_of, read_inputs


class _JudgedGate(msgspec.Struct, frozen=True):
    gate: str
    effect: float | None = None


class _LastRun(msgspec.Struct, frozen=True):
    plan: str
    gates: list[_JudgedGate] = []


def gates_of_flags(gates: Sequence[str], gates_file: Path | None) -> list[WrittenGate]:
    """Returns the gates of --gate and --gates-file; raises UsageError where the file cannot be read."""
    written = [WrittenGate("--gate", text) for text in gates]
    return written if gates_file is None else written + list(read_gates_file(gates_file))


def frozen_baseline(path: str | Path, gates: Sequence[Gate], here: Identity, *, force: bool) -> dict[str, Any] | None:
    """Reads a baseline and returns what a manifest keeps of it; None, with a warning, where no gate asks for it.

    Raises:
        UsageError: it cannot be used, or its run was unlike this one and `force` is not given.
        OtherMachineError: only the machine is of another kind, and no calibration runs say what that makes of times.
    """
    baseline = load(Path(path))
    if not any(gate.needs_baseline for gate in gates):
        click.echo(f"convload: warning: --baseline {path}: no gate compares with it", err=True)
        return None
    found = likeness(baseline.identity, here)
    if not force and found.unlike and all(one.kind == "machine" for one in found.unlike):
        baseline = _by_ratio(baseline, here, str(path), found)
        found = msgspec.structs.replace(found, unlike=[])
    unlike = [one.sentence("in the baseline", "here") for one in found.unlike]
    if unlike and not force:
        problems = [f"baseline {path}: {what}" for what in unlike]
        raise UsageError(*problems, _FORCE)
    for importance, texts in (("warning", unlike), ("note", found.notes)):
        for text in texts:
            click.echo(f"convload: {importance}: baseline {path}: {text}", err=True)
    return freeze(baseline, gates, unlike, str(path))


class OtherMachineError(UsageError):
    """A baseline of another kind of machine, and nothing to judge it by."""

    exit_code = ExitCode.INCONCLUSIVE


def _by_ratio(baseline: Baseline, here: Identity, path: str, found: Likeness) -> Baseline:
    """Adds the calibration run of this machine; raises OtherMachineError where there is none that may be judged by."""
    machine = here.kind.machine if here.kind else {}
    known = calibrating.known(machine)
    why = calibration.why_not(baseline, machine, known)
    if why or known is None:
        differing = [f"baseline {path}: {one.sentence('in the baseline', 'here')}" for one in found.unlike]
        raise OtherMachineError(*differing, f"no judgement by ratio: {why}", _FORCE)
    return msgspec.structs.replace(baseline, calibrations=[*baseline.calibrations[:1], calibration.small(known)])


_FORCE = "a run unlike its baseline proves nothing; --force-baseline compares all the same"


def baseline_of(plan: Plan, *, force: bool) -> dict[str, Any] | None:
    """Returns what a plan's manifest keeps of its baseline; raises UsageError as `frozen_baseline` does."""
    if plan.baseline is None:
        return None
    here = identity_of(manifest_of(plan, plan.target, read_inputs(plan)))
    return frozen_baseline(plan.baseline, parsed(plan.gates), here, force=force)


def warnings_of(plan: Plan) -> list[str]:
    """Returns what a plan cannot decide with the samples that it will have."""
    if plan.target_b:
        windows = [mark for mark in marks(plan.resolved_stages()) if not mark.warmup]
        return [text] if (text := too_few(len(windows), windows[0].duration_s, plan.duration_s or 0.0)) else []
    weights: Mapping[str, float] = {}
    if any(gate.subject.variant for gate in parsed(plan.gates)):
        catalogue = Catalogue.read(Path(plan.payloads) if plan.payloads else default_folder())
        weights = catalogue.mixes.get(plan.mix, {})
    return plan_warnings(*facts_of(plan), weights, _effects_of_last_run(plan.name)) if plan.gates else []


def _effects_of_last_run(name: str) -> dict[str, float]:
    """Returns the design effects by gate of the newest run, where it was of the same plan and can be read."""
    try:
        summary = msgspec.json.decode(Path("reports", "latest", "summary.json").read_bytes(), type=_LastRun)
    except (OSError, msgspec.MsgspecError):
        return {}
    return {gate.gate: gate.effect for gate in summary.gates if gate.effect} if summary.plan == name else {}


def warn(texts: Iterable[str]) -> None:
    """Prints what a person should know before a load goes on."""
    for text in texts:
        click.echo(defused(visible(f"convload: warning: {text}")), err=True)


def facts_of(plan: Plan) -> tuple[PlanFacts, list[StageMark]]:
    """Returns a plan as its manifest will tell it."""
    return msgspec.convert(msgspec.to_builtins(plan), PlanFacts), marks(plan.resolved_stages())
