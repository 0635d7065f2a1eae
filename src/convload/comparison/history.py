"""Follows the figures of a plan over many runs, and marks where they changed."""

import os
from pathlib import Path

import msgspec

from convload.comparison.changepoints import FEWEST_RUNS, Change, changes, levels
from convload.comparison.conclusion import Conclusion
from convload.comparison.outcomes import Minimum
from convload.comparison.sides import ComparedRun, read_run, unsound
from convload.contract.steps import CREATE
from convload.errors import RunLogError, UsageError
from convload.judging.alike import compare_kinds, run_kind
from convload.plan.gate_grammar import GateTextError, parse
from convload.results import runlog

FORMAT = "convload/history/1"

PERCENTILES = ("p50", "p95", "p99")


class FollowedRun(msgspec.Struct, frozen=True):
    """One run of the history; `values` by the name of the statistic, as far as the run supports them.

    `warnings` is what a reader of its own report is told beside the figures.
    """

    folder: str
    started: str
    seed: int
    outcome: str
    version: str
    values: dict[str, float]
    warnings: list[str] = []


class LeftOut(msgspec.Struct, frozen=True):
    """A run that is no part of the history, and why."""

    folder: str
    started: str
    reasons: list[str]


class Series(msgspec.Struct, frozen=True):
    """One statistic over all runs; None where a run does not support it. `better` is lower, higher, or unknown ("").

    `levels` are the medians between the changes that are confirmed. `note` says why no change could be looked for.
    """

    name: str
    unit: str
    better: str
    values: list[float | None]
    levels: list[float | None]
    changes: list[Change]
    note: str


class History(msgspec.Struct, frozen=True):
    """The runs of one plan in the order of time, their statistics with changes marked, and what was left out."""

    format: str
    folder: str
    plan: str
    target: str
    minimum: Minimum
    points: list[FollowedRun]
    series: list[Series]
    left_out: list[LeftOut]


def follow(folder: Path, minimum: Minimum | None = None) -> History:
    """Reads all runs below a folder that are like the newest sound one; raises UsageError where there is none."""
    runs, left_out = _sound(find_runs(folder))
    if not runs:
        reasons = [f"{one.folder}: {reason}" for one in left_out for reason in one.reasons]
        raise UsageError(f"{folder}: has no run below it that can be followed", *reasons)
    newest, like = runs[-1], []
    followed = run_kind(newest.log.manifest)
    for run in runs:
        found = compare_kinds(followed, run_kind(run.log.manifest))
        if found.unlike or found.elsewhere:
            reasons = [
                f"unlike the newest run: {one.kind}: {one.what} is {one.new}, not {one.base}" for one in found.unlike
            ] or ["unlike the newest run: it fired at another address or account"]
            left_out.append(LeftOut(run.folder, run.log.manifest.started, reasons))
        else:
            like.append(run)
    least = minimum or Minimum()
    points = [_point(run) for run in like]
    return History(
        format=FORMAT,
        folder=str(folder),
        plan=newest.conclusion.summary.plan,
        target=newest.conclusion.summary.target,
        minimum=least,
        points=points,
        series=[_series(name, unit, better, points, least) for name, unit, better in _statistics(like)],
        left_out=sorted(left_out, key=lambda one: (one.started, one.folder)),
    )


def find_runs(folder: Path) -> list[Path]:
    """Returns the run folders below one, itself included, links (`latest`) not; raises UsageError where it is none."""
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder; name one that has run folders below it")
    return sorted(Path(at) for at, _, names in os.walk(folder) if runlog.FILE_NAME in names)


def _sound(folders: list[Path]) -> tuple[list[ComparedRun], list[LeftOut]]:
    runs, left_out = [], []
    for folder in folders:
        try:
            run = read_run(folder)
        except RunLogError as error:
            left_out.append(LeftOut(str(folder), "", list(error.problems)))
            continue
        if reasons := unsound(run):
            left_out.append(LeftOut(run.folder, run.log.manifest.started, reasons))
        else:
            runs.append(run)
    return sorted(runs, key=lambda run: (run.log.manifest.started, run.folder)), left_out


def _point(run: ComparedRun) -> FollowedRun:
    conclusion = run.conclusion
    return FollowedRun(
        folder=run.folder,
        started=conclusion.summary.started,
        seed=run.seed,
        outcome=conclusion.verdict.outcome,
        version=run.log.manifest.versions.get("convload", ""),
        values={**_figures(conclusion), **_gates(conclusion)},
        warnings=run.facts.warnings,
    )


def _figures(conclusion: Conclusion) -> dict[str, float]:
    found, create = dict[str, float](), conclusion.summary.steps.get(CREATE)
    if create is not None:
        found = {name: create.response_ms[name] for name in PERCENTILES if name in create.response_ms}
        found["errors"] = 100 * (create.count - create.ok) / create.count
    if conclusion.summary.achieved_rate is not None:
        found["rate"] = conclusion.summary.achieved_rate
    return found


def _gates(conclusion: Conclusion) -> dict[str, float]:
    return {f"gate {gate.gate}": gate.value for gate in conclusion.gates if gate.value is not None}


def _statistics(runs: list[ComparedRun]) -> list[tuple[str, str, str]]:
    """Returns name, unit and better direction of all statistics; a gate says by its limit alone which is better."""
    named = [*((name, "ms", "lower") for name in PERCENTILES), ("errors", "%", "lower"), ("rate", "/s", "higher")]
    gates = {gate.gate: gate.unit for run in runs for gate in run.conclusion.gates}
    return [*named, *((f"gate {name}", unit, _better(name)) for name, unit in gates.items())]


def _better(gate: str) -> str:
    """Returns which way a figure is better; "" for a count that must be what it is, or a gate of another version."""
    try:
        operator = parse(gate).operator
    except GateTextError:
        return ""
    return {"<": "lower", "<=": "lower", ">": "higher", ">=": "higher"}.get(operator, "")


def _series(name: str, unit: str, better: str, points: list[FollowedRun], minimum: Minimum) -> Series:
    values = [point.values.get(name) for point in points]
    places = [at for at, value in enumerate(values) if value is not None]
    known = [value for value in values if value is not None]
    least = {"ms": minimum.absolute_ms, "%": minimum.errors_points}.get(unit, 0.0)
    found = [
        msgspec.structs.replace(change, at=places[change.at])
        for change in changes(known, least_relative=minimum.relative, least_absolute=least)
    ]
    note = f"needs {FEWEST_RUNS} runs to look for changes, has {len(known)}" if len(known) < FEWEST_RUNS else ""
    return Series(name, unit, better, values, levels(values, found), found, note)
