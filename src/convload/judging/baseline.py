"""A baseline: the figures of a run that later runs are held against, and what the run was, to tell unlike ones.

Format convload/baseline/1. A plan's gates need few of the figures; those are frozen into the manifest of the new run,
so that it can be judged again without the baseline.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from convload.errors import RunLogError, UsageError
from convload.judging.alike import Likeness, RunKind, compare_kinds, kind_of_target, run_kind, treatment_of
from convload.judging.dependence import effects_of
from convload.judging.ratio import BaselineTotals, Machines
from convload.judging.validity import examine, unsound, warnings_of
from convload.mistakes import find_mistakes
from convload.plan.facts import OPEN
from convload.plan.gate import Gate
from convload.results import runlog
from convload.results.histogram import Histogram
from convload.results.measured import Figures, Flow, Key, Totals
from convload.results.run import Run, plan_facts
from convload.results.runlog import Manifest

FORMAT = "convload/baseline/1"
FILE_NAME = "baseline.json"

_TIMES = ("response", "service", "lateness", "failed_response", "failed_lateness")


class Identity(msgspec.Struct, frozen=True):
    """What was run on what, without account, host or credentials.

    `target` is "mock", "http" or "https"; `load` the rates of an open load's stages, from and to; `think` and `users`
    are of a closed load. `kind` is what decides whether runs are alike; baselines of earlier versions have none.
    """

    plan: str
    model: str
    mix: str
    consumers: str
    target: str
    arrivals: str | None
    load: list[tuple[float, float]]
    users: int | None
    think: str
    retry: str
    processor: str
    cores: int | None
    version: str
    started: str = ""
    kind: RunKind | None = None


_OF_EARLIER_VERSIONS = ("model", "mix", "consumers", "target", "arrivals", "load", "users", "think", "retry")


class Part(msgspec.Struct, frozen=True):
    """The figures of one step, variant and stage; times are `Histogram.encode()` strings in microseconds."""

    step: str
    variant: str
    stage: str
    ok: int
    errors: dict[str, int]
    response: str
    service: str
    lateness: str
    failed_response: str
    failed_lateness: str


class Piece(msgspec.Struct, frozen=True):
    """What became of the requests of one step in one stretch of time, as comparisons see a run.

    Times are as in `Part`; an empty `service` is that of a closed load, the response.
    """

    response: str
    service: str
    ok: int
    failed: int
    late: int
    length_s: float
    stratum: str


class Baseline(msgspec.Struct, frozen=True):
    """A run as others are held against it; `differences` and `source` are added when it is frozen into one of those.

    `pieces` are by step, for comparisons alone; `warnings` what a reader of its figures must know. `calibrations` are
    the calibration run of its machine, if there was one, and that of the new run where they are of other kinds.
    """

    format: str
    identity: Identity
    flows: dict[str, Flow]
    parts: list[Part]
    differences: list[str] = []
    source: str = ""
    effects: dict[str, dict[str, float]] = {}
    pieces: dict[str, list[Piece]] = {}
    warnings: list[str] = []
    calibrations: list["Baseline"] = []

    def totals(self) -> BaselineTotals:
        """Returns the figures to judge by; raises RunLogError where a histogram is damaged."""
        parts = {(part.step, part.variant, part.stage): _figures(part) for part in self.parts}
        return BaselineTotals(parts, self.flows, self.effects, self._machines())

    @property
    def is_by_ratio(self) -> bool:
        """Whether it was made on another kind of machine, and calibration runs of both are there."""
        return len(self.calibrations) > 1

    def _machines(self) -> Machines | None:
        if not self.is_by_ratio:
            return None
        own, here = self.calibrations
        return Machines(own.totals(), here.totals(), all_work=_mock_of(self) == _mock_of(own))


def _mock_of(run: Baseline) -> dict[str, Any]:
    settings = run.identity.kind.settings if run.identity.kind else {}
    return {key: value for key, value in settings.items() if key.startswith("mock.")}


def merged(totals: Totals) -> list[Part]:
    """Returns the figures of whole steps."""
    return [_part((step, "", ""), totals.figures(step)) for step in dict.fromkeys(step for step, _, _ in totals.parts)]


def load(path: Path) -> Baseline:
    """Reads a run folder, a run log or a saved baseline; raises UsageError where that is no sound one."""
    file = path / runlog.FILE_NAME if path.is_dir() else path
    try:
        text = file.read_bytes()
    except OSError as error:
        raise UsageError(f"baseline {file}: cannot be read: {error.strerror}") from error
    if text.startswith(b'{"record":') or file.name == runlog.FILE_NAME:
        return of_file(file)
    try:
        data = msgspec.json.decode(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"baseline {file}: is no JSON: {error}") from error
    return _checked(data, f"baseline {file}", UsageError)


def of_file(path: Path) -> Baseline:
    """Makes a baseline of a run log; raises UsageError where it supports no statement, with all reasons."""
    try:
        run = Run(runlog.read(path))
        problems = unsound(run, examine(run))
    except RunLogError as error:
        raise UsageError(*(f"baseline {problem}" for problem in error.problems)) from error
    if problems:
        raise UsageError(*(f"baseline {path}: is no baseline: {problem}" for problem in problems))
    return of_run(run)


def of_run(run: Run) -> Baseline:
    """Returns all that a run measured, as a baseline."""
    parts = [_part(key, figures) for key, figures in sorted(run.parts.items())]
    return Baseline(
        FORMAT,
        identity_of(run.manifest),
        run.totals.flows,
        parts,
        effects=effects_of(run),
        warnings=warnings_of(run.manifest.notes, examine(run)),
    )


def identity_of(manifest: Manifest) -> Identity:
    """Returns what a run was, or what one will be that has its manifest already."""
    plan, kind = plan_facts(manifest), run_kind(manifest)
    cores = manifest.machine.get("cores")
    return Identity(
        plan=plan.name,
        model=plan.model,
        mix=str(plan.mix),
        consumers=plan.consumers,
        target=kind_of_target(plan.target),
        arrivals=plan.schedule,
        load=[(mark.from_rate, mark.to_rate) for mark in manifest.stages if not mark.warmup],
        users=None if plan.model == OPEN else plan.users,
        think=str(manifest.plan.get("think", "none")),
        retry=f"{plan.retry.policy}, {plan.retry.attempts} attempts",
        processor=str(manifest.machine.get("processor", "")),
        cores=cores if isinstance(cores, int) else None,
        version=manifest.versions.get("convload", ""),
        started=manifest.started,
        kind=msgspec.structs.replace(kind, settings=_without_place(kind.settings)),
    )


def _without_place(settings: dict[str, Any]) -> dict[str, Any]:
    """Returns the settings that are compared, without account and host, as a baseline may be shown to anybody."""
    kept = {key: value for key, value in settings.items() if treatment_of(key) != "ignored" and key != "account"}
    return kept | {"target": kind_of_target(settings.get("target"))}


def likeness(base: Identity, new: Identity) -> Likeness:
    """Returns what makes two runs unlike, as far as the baseline tells."""
    if base.kind and new.kind:
        return compare_kinds(base.kind, new.kind)
    found = compare_kinds(*(_known_to_earlier_versions(identity) for identity in (base, new)))
    note = f"the baseline is of an earlier version: of its plan only {', '.join(_OF_EARLIER_VERSIONS)} are known"
    return msgspec.structs.replace(found, notes=[*found.notes, note])


def _known_to_earlier_versions(identity: Identity) -> RunKind:
    return RunKind(
        settings={key: getattr(identity, key) for key in _OF_EARLIER_VERSIONS},
        inputs=identity.kind.inputs if identity.kind else {},
        machine={"processor": identity.processor, "cores": identity.cores},
        versions={"convload": identity.version},
    )


def freeze(baseline: Baseline, gates: Iterable[Gate], unlike: list[str], source: str) -> dict[str, Any]:
    """Returns, as plain data for a manifest, what these gates need of a baseline: merged over what none tells apart."""
    subjects = [gate.subject for gate in gates if gate.needs_baseline]
    by_variant, by_stage = any(subject.variant for subject in subjects), any(subject.stage for subject in subjects)
    grouped: dict[Key, list[Figures]] = {}
    for (step, variant, stage), figures in baseline.totals().parts.items():
        if step in {subject.step for subject in subjects}:
            key = (step, variant if by_variant else "", stage if by_stage else "")
            grouped.setdefault(key, []).append(figures)
    parts = [_part(key, Figures.merged(of_key)) for key, of_key in grouped.items()]
    frozen = msgspec.structs.replace(baseline, parts=parts, differences=unlike, source=source, pieces={})
    if not baseline.is_by_ratio:
        frozen = msgspec.structs.replace(frozen, calibrations=[])
    plain: dict[str, Any] = msgspec.to_builtins(frozen)
    return plain


def read_frozen(data: dict[str, Any] | None) -> Baseline | None:
    """Reads what `freeze` put into a manifest; raises RunLogError where it is none."""
    return None if data is None else _checked(data, "the manifest's baseline", RunLogError)


def _checked(data: object, where: str, raised: type[UsageError | RunLogError]) -> Baseline:
    stated = data.get("format") if isinstance(data, dict) else None
    if stated != FORMAT:
        raise raised(f"{where}: has format {stated!r}; this version reads {FORMAT!r} and run folders")
    mistakes = find_mistakes(data, Baseline)
    if mistakes:
        raise raised(*(f"{where}: {mistake}" for mistake in mistakes))
    baseline = msgspec.convert(data, Baseline)
    try:
        baseline.totals()
    except RunLogError as error:
        raise raised(f"{where}: {error}") from error
    return baseline


def _part(key: Key, figures: Figures) -> Part:
    times = (getattr(figures, name).encode() for name in _TIMES)
    return Part(*key, figures.ok, figures.errors, *times)


def _figures(part: Part) -> Figures:
    times = (Histogram.decode(getattr(part, name)) for name in _TIMES)
    return Figures(part.ok, part.errors, *times)
